"""From YAML files and ``--set section.key=value`` to a Run; what is wrong is told with file, line and dotted key."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from lba_cli.config import Run
from lba_cli.errors import ConfigError, quoted, short_repr
from lba_cli.files import read_text, write_text


class _Loader(yaml.SafeLoader):
    """Safe YAML with YAML 1.2's numbers: 5e-4 is one, 010 is ten, and neither 1:30 nor a date is anything but text."""

    def construct_integer(self, node: yaml.ScalarNode) -> int:
        """Read a decimal number."""
        return int(self.construct_scalar(node))


_NUMBERS = {
    "int": re.compile(r"[-+]?[0-9]{1,30}$"),
    "float": re.compile(r"[-+]?(([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+|\.(inf|nan))$"),
}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag.rsplit(":", 1)[1] not in {*_NUMBERS, "timestamp"}]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _kind, _pattern in _NUMBERS.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", _pattern, list("-+.0123456789"))
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_integer)
MOST_CONFIG = 2**16
DEEPEST = 8  # sections and lists in one another; settings need three


class _Dumper(yaml.SafeDumper):
    """Safe YAML that quotes what either this program or YAML 1.1 would read as something else than text."""


for _kind, _pattern in _NUMBERS.items():
    _Dumper.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", _pattern, list("-+.0123456789"))


@dataclass(frozen=True)
class Layer:
    """Some settings and where each came from.

    Attributes:
        values: nested dictionaries.
        origins: dotted key → what a message should call the place.
        source: the whole layer's name, for keys without an origin.
    """

    values: dict[str, Any]
    source: str
    origins: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Read a YAML file.

        Raises:
            ConfigError: it is missing, isn't YAML, holds something else than settings, or names a key twice.
        """
        try:
            text = read_text(path, MOST_CONFIG)
        except (OSError, UnicodeDecodeError) as problem:
            raise ConfigError(f"{path}: {_reason(problem)}") from problem
        values, root = _parse(text, str(path))
        if values is None:
            return cls({}, str(path))
        if not isinstance(values, dict):
            raise ConfigError(f"{path}:1: expected sections such as 'train:', found {type(values).__name__}")
        return cls(values, str(path), dict(_origins(root, str(path))))

    @classmethod
    def from_assignments(cls, assignments: Sequence[str]) -> Self:
        """Parse ``section.key=value`` words; the values are YAML.

        Raises:
            ConfigError: a word isn't of that form.
        """
        values: dict[str, Any] = {}
        origins = {}
        for assignment in assignments:
            key, equals, text = assignment.partition("=")
            section, dot, name = key.strip().partition(".")
            where = f"--set {' '.join(assignment.split()):.200}"
            if not (equals and dot and section and name):
                raise ConfigError(f"{where}: expected section.key=value, such as train.epochs=40")
            value, _ = _parse(text, where)
            values.setdefault(section, {})[name] = value
            origins[section] = origins[f"{section}.{name}"] = where
        return cls(values, "--set", origins)

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Self:
        """Take command-line options by their dotted keys; those that weren't given (None) are left out."""
        values: dict[str, Any] = {}
        for key, value in options.items():
            if value is not None:
                section, _, name = key.partition(".")
                values.setdefault(section, {})[name] = value
        return cls(values, "the command line")


def resolve(layers: Sequence[Layer]) -> Run:
    """Lay the layers over the defaults, later ones over earlier ones.

    Raises:
        ConfigError: the first problem, with its place, what is allowed, and the nearest valid name.
    """
    merged: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for layer in layers:
        for section, values in layer.values.items():
            where = layer.origins.get(str(section), layer.source)
            if values is None:
                continue
            if not isinstance(values, dict):
                known = f"a section of settings such as '{section}.…'" if section in Run.model_fields else "a section"
                raise ConfigError(f"{where}: {quoted(section)} should be {known}, not {short_repr(values)}")
            merged.setdefault(section, {}).update(values)
            origins[str(section)] = where
            origins |= {f"{section}.{key}": layer.origins.get(f"{section}.{key}", layer.source) for key in values}
    try:
        return Run.model_validate(merged)
    except ValidationError as problem:
        raise ConfigError(_message(problem.errors()[0], origins)) from None


def write_run(path: Path, run: Run) -> None:
    """Write all the settings of ``run`` as YAML; read back they give the same run."""
    write_text(path, yaml.dump(run.values(), Dumper=_Dumper, sort_keys=False))


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """The settings in which two runs' values differ: (dotted key, first value, second value).

    A setting that one of them lacks, because an older version wrote it, has its default there.
    """
    defaults = Run().values()
    pairs = [
        (f"{section}.{key}", first.get(section, {}).get(key, default), second.get(section, {}).get(key, default))
        for section, settings in defaults.items()
        for key, default in settings.items()
    ]
    return [(key, old, new) for key, old, new in pairs if old != new]


def _parse(text: str, source: str) -> tuple[Any, yaml.Node | None]:
    try:
        _refuse_what_settings_never_need(text)
        node = yaml.compose(text, Loader=_Loader)
        return yaml.load(text, Loader=_Loader), node
    except (yaml.YAMLError, ValueError, RecursionError, TypeError) as problem:
        mark = getattr(problem, "problem_mark", None)
        line = f":{mark.line + 1}" if mark and not source.startswith("--set") else ""
        what = " ".join(str(getattr(problem, "problem", None) or problem).split())
        raise ConfigError(f"{source}{line}: not YAML: {what:.200}") from problem


def _refuse_what_settings_never_need(text: str) -> None:
    """Refuse aliases, a few of which unfold into gigabytes, tags, which ask for objects, and nesting without end.

    Raises:
        yaml.MarkedYAMLError: with the place.
    """
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        unwanted = {
            "anchors and aliases": getattr(event, "anchor", None) is not None,
            "tags": getattr(event, "tag", None) is not None,
            f"more than {DEEPEST} levels": depth > DEEPEST,
        }
        for what, found in unwanted.items():
            if found:
                raise yaml.MarkedYAMLError(None, None, f"{what} have no place in settings", event.start_mark)  # type: ignore[arg-type]


def _origins(node: yaml.Node | None, path: str, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield every dotted key of a mapping with its file and line; refuse a key that stands twice."""
    if not isinstance(node, yaml.MappingNode):
        return
    seen: set[str] = set()
    for key, value in node.value:
        name, line = f"{prefix}{key.value}", key.start_mark.line + 1
        if name in seen:
            raise ConfigError(f"{path}:{line}: {quoted(name)} stands here a second time")
        seen.add(name)
        yield name, f"{path}:{line}"
        if not prefix:
            yield from _origins(value, path, f"{name}.")


def _message(error: ErrorDetails, origins: Mapping[str, str]) -> str:
    section, *rest = [str(part) for part in error["loc"]] or [""]
    key = ".".join([section, *rest[:1]])
    where = origins.get(key) or origins.get(section) or "settings"
    if error["type"] == "extra_forbidden":
        model = type(getattr(Run(), section)) if rest else Run
        what = "setting" if rest else "section"
        return f"{where}: unknown {what} {quoted(key)}{_nearest(rest[0] if rest else section, model)}"
    problem = error["msg"].removeprefix("Value error, ")
    problem = problem[0].lower() + problem[1:] if problem.startswith("Input") else problem
    return (
        f"{where}: {key or 'settings'}: {problem.replace('input should', 'should')}, not {short_repr(error['input'])}"
        if key
        else (f"{where}: {problem}")
    )


def _nearest(name: str, model: type[BaseModel]) -> str:
    valid = list(model.model_fields)
    close = difflib.get_close_matches(name, valid, n=1)
    return f"; did you mean '{close[0]}'?" if close else f"; valid: {', '.join(valid)}"


def _reason(problem: Exception) -> str:
    if isinstance(problem, FileNotFoundError):
        return "no such file"
    return "not a text file" if isinstance(problem, UnicodeDecodeError) else getattr(problem, "strerror", str(problem))
