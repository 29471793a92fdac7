"""Layers of config values from YAML files, options and ``--set section.key=value``, and how they become one Config.

Every mistake is reported with its place: the file and line, or the words of the command line.
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
    """Some config values, and where each one comes from.

    Attributes:
        values: section → key → value.
        origins: dotted key, or section → how a message names its place, such as ``run.yaml:3``.
        source: the place of keys without an origin.
    """

    values: dict[str, Any]
    source: str
    origins: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Read a YAML file; raises ConfigError if it is missing, too large, not YAML, without sections, or has a key twice."""
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
        """Parse ``section.key=value`` assignments, whose values are YAML; raises ConfigError for anything else."""
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
        """Take command-line options by their dotted keys; options that weren't given (None) are left out."""
        values: dict[str, Any] = {}
        for key, value in options.items():
            if value is not None:
                section, _, name = key.partition(".")
                values.setdefault(section, {})[name] = value
        return cls(values, "the command line")


def resolve_config(layers: Sequence[ConfigLayer]) -> Config:
    """Lay the layers over the defaults, later ones over earlier ones.

    A run's resolved config names the weights of all loss terms, and every other key. To make it usable for another method, a
    layer's weights and settings that are the defaults of its own method are dropped if a later layer chooses another method.

    Raises:
        ConfigError: a value is invalid; the message says where the first one is, what is allowed, and the nearest valid name.
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
    """Compare the values of two configs: return (dotted key, first value, second value) for every key that differs.

    A key that one of them lacks counts as its default.
    """
    found = []
    for section, defaults in Config().values().items():
        old, new = ({**defaults, **values.get(section, {})} for values in (first, second))
        keys = [key for key in old | new if old.get(key) != new.get(key)]
        found += [(f"{section}.{key}", old.get(key), new.get(key)) for key in keys]
    return found


def _merge(layers: Sequence[ConfigLayer]) -> tuple[dict[str, Any], dict[str, str]]:
    """Merge the values of all layers; return them, and the place of each key. ``~`` becomes the home folder."""
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
    """Check the keys in the section ``data`` that only one data set has."""
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
    """Drop the layer's loss weights and settings that are defaults of its own method, if that isn't ``method``."""
    own = _method_of(layer)
    if own == method or own not in METHODS:
        return layer
    defaults = {f"loss.{term.name}": weight for term, weight in METHODS[own].default_weights.items()}
    for key in {key for row in METHODS.values() for key in row.settings}:
        section, _, name = key.partition(".")
        defaults[key] = METHODS[own].settings.get(key, getattr(getattr(Config(), section), name))

    def is_default(key: str, value: Any) -> bool:
        found = defaults.get(key)
        return isinstance(found, bool) == isinstance(value, bool) and found == value and key in defaults

    kept = {
        section: {name: value for name, value in keys.items() if not is_default(f"{section}.{name}", value)}
        if isinstance(keys, dict)
        else keys
        for section, keys in layer.values.items()
    }
    return replace(layer, values=kept)


def _message(error: ErrorDetails, origins: Mapping[str, str]) -> str:
    """Turn pydantic's report into one line that begins with the value's place."""
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
