"""Merge layers of config values, from YAML files, options and ``--set section.key=value``, into one Config.

The message about a mistake says where it is: the file and the line, or the words of the command line.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from lba_cli.config.schema import Config, DataSection
from lba_cli.config.yaml_text import dump_yaml, lines_of_keys, parse_yaml
from lba_cli.datasets import DATASETS, nearest
from lba_cli.errors import ConfigError, quoted, short_repr
from lba_cli.files import at_home, encoding_problem, read_text, write_text
from lba_cli.methods.table import METHODS

MAX_CONFIG_BYTES = 2**16


@dataclass(frozen=True)
class ConfigLayer:
    """The config values of one source, and where each value was set.

    Attributes:
        values: ``values[section][key]`` is the value of a key.
        origins: where each section and dotted key was set, as messages say it, such as ``run.yaml:3``.
        source: where the keys that ``origins`` lacks were set.
    """

    values: dict[str, Any]
    source: str
    origins: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Read a YAML file. Raises ConfigError if it is missing, too large, not YAML, has no sections, or has a key twice."""
        try:
            text = read_text(path, MAX_CONFIG_BYTES)
        except FileNotFoundError as problem:
            raise ConfigError(f"{path}: no such file") from problem
        except UnicodeDecodeError as problem:
            raise ConfigError(f"{path}: {encoding_problem(problem)}") from problem
        except OSError as problem:
            raise ConfigError(f"{path}: {problem.strerror}") from problem
        values, root = parse_yaml(text, str(path))
        if values is None:
            return cls({}, str(path))
        if not isinstance(values, dict):
            raise ConfigError(f"{path}:1: expected sections such as 'train:', found {type(values).__name__}")
        origins = {key: f"{path}:{line}" for key, line in lines_of_keys(root, str(path))}
        return cls(values, str(path), origins)

    @classmethod
    def from_assignments(cls, assignments: Sequence[str]) -> Self:
        """Parse ``section.key=value`` assignments with values in YAML. Raises ConfigError if an assignment has another form."""
        values: dict[str, Any] = {}
        origins = {}
        for assignment in assignments:
            key, equals, text = assignment.partition("=")
            section, dot, name = key.strip().partition(".")
            where = f"--set {' '.join(assignment.split()):.200}"
            if not (equals and dot and section and name):
                raise ConfigError(f"{where}: expected section.key=value, such as train.epochs=40")
            values.setdefault(section, {})[name] = parse_yaml(text, where, lines=False)[0]
            origins[section] = origins[f"{section}.{name}"] = where
        return cls(values, "--set", origins)

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Self:
        """Make a layer of command-line options, which are keyed by dotted key. Options that weren't given (None) are left out."""
        values: dict[str, Any] = {}
        for key, value in options.items():
            if value is not None:
                section, _, name = key.partition(".")
                values.setdefault(section, {})[name] = value
        return cls(values, "the command line")


def resolve_config(layers: Sequence[ConfigLayer]) -> Config:
    """Merge the layers with the defaults. A value in a later layer replaces the value in an earlier one.

    A run's resolved config names the weights of all loss terms, and every other key. To make such a config usable for another
    method, the weights and settings that are defaults of its own method are dropped if a later layer chooses another method.

    Raises:
        ConfigError: a value is invalid. The message says where the first invalid value is, and what is allowed.
    """
    method = next(filter(None, map(_method_of, reversed(layers))), Config().train.method)
    merged, origins = _merge([_without_settings_of_another_method(layer, method) for layer in layers])
    _check_dataset_keys(merged.get("data", {}), origins)
    try:
        return Config.model_validate(merged)
    except ValidationError as problem:
        raise ConfigError(_message(problem.errors()[0], origins)) from None


def write_config(path: Path, config: Config) -> None:
    """Write all values of ``config`` to a YAML file, which :meth:`ConfigLayer.from_file` reads back."""
    write_text(path, dump_yaml(config.values()))


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Return a list of (dotted key, first value, second value) for the keys that differ between the values of two configs.

    If a config lacks a key, the key's default is compared.
    """
    found = []
    for section, defaults in Config().values().items():
        old, new = ({**defaults, **values.get(section, {})} for values in (first, second))
        keys = [key for key in old | new if old.get(key) != new.get(key)]
        found += [(f"{section}.{key}", old.get(key), new.get(key)) for key in keys]
    return found


def _merge(layers: Sequence[ConfigLayer]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the merged values of all layers, and where each section and key was set. ``~`` is expanded to the home folder."""
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
            merged.setdefault(section, {}).update({key: at_home(value) for key, value in values.items()})
            origins[str(section)] = where
            origins |= {f"{section}.{key}": layer.origins.get(f"{section}.{key}", layer.source) for key in values}
    return merged, origins


def _check_dataset_keys(data: Mapping[str, Any], origins: Mapping[str, str]) -> None:
    """Check the keys of the section ``data`` that belong to a single data set."""
    extra = {key: value for key, value in data.items() if key not in DataSection.model_fields}
    owners = {key: spec for spec in DATASETS.values() for key in spec.options.model_fields}
    for key in extra:
        if key not in owners:
            hint = nearest(str(key), (*DataSection.model_fields, *owners))
            raise ConfigError(f"{origins[f'data.{key}']}: unknown key {quoted(f'data.{key}')}; {hint}")
    for spec in DATASETS.values():
        try:
            spec.options.model_validate({key: extra[key] for key in extra if owners[key] is spec})
        except ValidationError as problem:
            error = problem.errors()[0]
            raise ConfigError(_message({**error, "loc": ("data", *error["loc"])}, origins)) from None


def _method_of(layer: ConfigLayer) -> Any:
    """Return the method that a layer chooses; None if it chooses none."""
    section = layer.values.get("train")
    method = section.get("method") if isinstance(section, dict) else None
    return method if isinstance(method, str) else None


def _without_settings_of_another_method(layer: ConfigLayer, method: str) -> ConfigLayer:
    """Return the layer without weights and settings that are defaults of its own method, unless its method is ``method``."""
    own = _method_of(layer)
    if own == method or own not in METHODS:
        return layer
    row, usual = METHODS[own], Config()
    defaults: dict[str, Any] = {f"loss.{term.name}": weight for term, weight in row.default_weights.items()}
    for key in {key for each in METHODS.values() for key in each.settings}:
        section, _, name = key.partition(".")
        defaults[key] = row.settings.get(key, getattr(getattr(usual, section), name))

    def is_chosen(key: str, value: Any) -> bool:
        """Whether a value isn't the default; true, which equals 1, is no weight."""
        return (
            key not in defaults or defaults[key] != value or isinstance(value, bool) != isinstance(defaults[key], bool)
        )

    kept = {
        section: {name: value for name, value in keys.items() if is_chosen(f"{section}.{name}", value)}
        if isinstance(keys, dict)
        else keys
        for section, keys in layer.values.items()
    }
    return replace(layer, values=kept)


def _message(error: ErrorDetails, origins: Mapping[str, str]) -> str:
    """Return a one-line message about an error that pydantic reports. It begins with where the value was set."""
    place = error.get("ctx", {}).get("key", "").split(".")
    section, *rest = [str(part) for part in error["loc"]] or place
    key = ".".join([section, *rest[:1]])
    where = origins.get(key) or origins.get(section) or "config"
    if error["type"] == "extra_forbidden":
        fields = type(getattr(Config(), section)).model_fields if rest else Config.model_fields
        what = "key" if rest else "section"
        return f"{where}: unknown {what} {quoted(key)}; {nearest(rest[0] if rest else section, fields)}"
    problem = error["msg"].removeprefix("Value error, ")
    if not rest or not error["loc"]:
        return f"{where}: {problem}"
    problem = problem[0].lower() + problem[1:] if problem.startswith("Input") else problem
    return f"{where}: {key}: {problem.replace('input should', 'should')}, not {short_repr(error['input'])}"
