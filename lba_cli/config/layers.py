"""From YAML files, options and ``--set section.key=value`` to a Config. Mistakes are reported with file, line and key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from lba_cli.config.schema import Config, DataSection
from lba_cli.config.yaml_text import dump_yaml, lines_of_keys, parse_yaml
from lba_cli.datasets import DATASETS, nearest
from lba_cli.errors import ConfigError, quoted, short_repr
from lba_cli.files import read_text, write_text
from lba_cli.methods.table import METHODS

MAX_CONFIG_BYTES = 2**16
COMMAND_LINE = "--set"


@dataclass(frozen=True)
class ConfigLayer:
    """Some config values, and where each one comes from.

    Attributes:
        values: section → key → value.
        source: the name of the whole layer, for keys without an origin.
        origins: dotted key → how a message names its place.
    """

    values: dict[str, Any]
    source: str
    origins: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Read a YAML file.

        Raises:
            ConfigError: the file is missing, isn't YAML, contains something else than sections, or names a key twice.
        """
        try:
            text = read_text(path, MAX_CONFIG_BYTES)
        except FileNotFoundError as problem:
            raise ConfigError(f"{path}: no such file") from problem
        except UnicodeDecodeError as problem:
            raise ConfigError(f"{path}: not a text file") from problem
        except OSError as problem:
            raise ConfigError(f"{path}: {problem.strerror}") from problem
        document = parse_yaml(text, str(path))
        if document.values is None:
            return cls({}, str(path))
        if not isinstance(document.values, dict):
            raise ConfigError(f"{path}:1: expected sections such as 'train:', found {type(document.values).__name__}")
        origins = {key: f"{path}:{line}" for key, line in lines_of_keys(document.root, str(path))}
        return cls(document.values, str(path), origins)

    @classmethod
    def from_assignments(cls, assignments: Sequence[str]) -> Self:
        """Parse ``section.key=value`` words, whose values are YAML.

        Raises:
            ConfigError: a word has another form.
        """
        values: dict[str, Any] = {}
        origins = {}
        for assignment in assignments:
            key, equals, text = assignment.partition("=")
            section, dot, name = key.strip().partition(".")
            where = f"{COMMAND_LINE} {' '.join(assignment.split()):.200}"
            if not (equals and dot and section and name):
                raise ConfigError(f"{where}: expected section.key=value, such as train.epochs=40")
            values.setdefault(section, {})[name] = parse_yaml(text, where, lines=False).values
            origins[section] = origins[f"{section}.{name}"] = where
        return cls(values, COMMAND_LINE, origins)

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Self:
        """Take command-line options by their dotted keys; options that weren't given (None) are left out."""
        values: dict[str, Any] = {}
        for key, value in options.items():
            if value is not None:
                section, _, name = key.partition(".")
                values.setdefault(section, {})[name] = value
        return cls(values, "the command line")


def resolve_config(layers: Sequence[ConfigLayer]) -> Config:
    """Lay the layers over the defaults, later ones over earlier ones.

    Raises:
        ConfigError: reports the first problem with its place, what is allowed, and the nearest valid name.
    """
    merged, origins = _merge(layers)
    _check_own_keys(merged.get("data", {}), origins)
    _drop_defaults_of_other_methods(merged, origins)
    try:
        return Config.model_validate(merged)
    except ValidationError as problem:
        raise ConfigError(_message(problem.errors()[0], origins)) from None


def write_config(path: Path, config: Config) -> None:
    """Write all values of ``config`` as YAML; read back, they give the same config."""
    write_text(path, dump_yaml(config.values()))


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """The keys in which the values of two configs differ: (dotted key, first value, second value).

    A key that one of them lacks has its default there.
    """
    defaults = Config().values()
    found = []
    for section in defaults:
        sides = [{**defaults[section], **values.get(section, {})} for values in (first, second)]
        for key in dict.fromkeys((*sides[0], *sides[1])):
            old, new = (side.get(key) for side in sides)
            if old != new:
                found.append((f"{section}.{key}", old, new))
    return found


def _merge(layers: Sequence[ConfigLayer]) -> tuple[dict[str, Any], dict[str, str]]:
    """The values of all layers, and where each key comes from."""
    merged: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for layer in layers:
        for section, values in layer.values.items():
            where = layer.origins.get(str(section), layer.source)
            if values is None:
                continue
            if not isinstance(values, dict):
                known = f"a section of keys such as '{section}.…'" if section in Config.model_fields else "a section"
                raise ConfigError(f"{where}: {quoted(section)} should be {known}, not {short_repr(values)}")
            merged.setdefault(section, {}).update(values)
            origins[str(section)] = where
            origins |= {f"{section}.{key}": layer.origins.get(f"{section}.{key}", layer.source) for key in values}
    return merged, origins


def _check_own_keys(data: Mapping[str, Any], origins: Mapping[str, str]) -> None:
    """Check the keys of the section ``data`` that only one data set has."""
    extra = {key: value for key, value in data.items() if key not in DataSection.model_fields}
    known = {key: spec for spec in DATASETS.values() for key in spec.options.model_fields}
    for key in extra:
        if key not in known:
            hint = nearest(str(key), (*DataSection.model_fields, *known))
            raise ConfigError(f"{origins[f'data.{key}']}: unknown key {quoted(f'data.{key}')}; {hint}")
    for spec in dict.fromkeys(known[key] for key in extra):
        try:
            spec.options.model_validate({key: extra[key] for key in extra if known[key] is spec})
        except ValidationError as problem:
            error = problem.errors()[0]
            raise ConfigError(_message({**error, "loc": ("data", *error["loc"])}, origins)) from None


def _drop_defaults_of_other_methods(merged: dict[str, Any], origins: Mapping[str, str]) -> None:
    """Let the resolved config of one method's run serve another method: weights that say nothing are dropped."""
    method = METHODS.get(merged.get("train", {}).get("method", Config.model_fields["train"].default.method))
    own = {term.name for term in method.terms} if method else set()
    defaults = {(t.name, weight) for m in METHODS.values() for t, weight in m.default_weights.items()}
    for name, weight in list(merged.get("loss", {}).items()):
        unsaid = method and name not in own and type(weight) in (int, float) and (name, weight) in defaults
        if unsaid and not origins[f"loss.{name}"].startswith(COMMAND_LINE):
            del merged["loss"][name]


def _message(error: ErrorDetails, origins: Mapping[str, str]) -> str:
    section, *rest = [str(part) for part in error["loc"]] or [""]
    key = ".".join([section, *rest[:1]])
    where = origins.get(key) or origins.get(section) or "config"
    if error["type"] == "extra_forbidden":
        fields = type(getattr(Config(), section)).model_fields if rest else Config.model_fields
        what = "key" if rest else "section"
        return f"{where}: unknown {what} {quoted(key)}; {nearest(rest[0] if rest else section, fields)}"
    problem = error["msg"].removeprefix("Value error, ")
    if not rest:
        return f"{where}: {problem}"
    problem = problem[0].lower() + problem[1:] if problem.startswith("Input") else problem
    return f"{where}: {key}: {problem.replace('input should', 'should')}, not {short_repr(error['input'])}"
