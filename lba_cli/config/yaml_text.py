"""Read and write the YAML of configurations: plain values only, in bounded memory, with the line of every key."""

import re
from collections.abc import Iterator
from typing import Any

import yaml

from lba_cli.errors import ConfigError, quoted

MAX_NESTING = 8  # levels of sections and lists within one another; configs need three


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, except that it reads 5e-4 as a number too."""


class _Dumper(yaml.SafeDumper):
    """PyYAML's safe dumper, except that it also quotes text that the loader would read as a number."""


for _class in (_Loader, _Dumper):  # in YAML 1.1, which PyYAML reads, 5.0e-4 is a number, but 5e-4 is text
    _class.add_implicit_resolver(
        "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+[eE][-+]?[0-9]+$"), list("-+0123456789")
    )


def parse_yaml(text: str, source: str, *, lines: bool = True) -> tuple[Any, yaml.Node | None]:
    """Parse YAML, and return its values and the root of its syntax tree; both are None for an empty text.

    Messages name the ``source`` and, if ``lines`` is true, the line.

    Raises:
        ConfigError: the text isn't YAML, or has anchors, tags, or too much nesting.
    """
    try:
        _refuse_unneeded_features(text)
        return yaml.load(text, Loader=_Loader), yaml.compose(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError, RecursionError, TypeError) as problem:
        mark = getattr(problem, "problem_mark", None)
        line = f":{mark.line + 1}" if mark and lines else ""
        what = " ".join(str(getattr(problem, "problem", None) or problem).split())
        raise ConfigError(f"{source}{line}: not valid YAML for a config: {what:.200}") from problem


def dump_yaml(values: dict[str, Any]) -> str:
    """Format ``values`` as YAML, in their order; :func:`parse_yaml` reads them back."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False)


def lines_of_keys(node: yaml.Node | None, source: str, prefix: str = "") -> Iterator[tuple[str, int]]:
    """Yield (dotted key, line) for the keys of a mapping and of its sections. Raises ConfigError if a key is given twice."""
    if not isinstance(node, yaml.MappingNode):
        return
    seen: set[str] = set()
    for key, value in node.value:
        name, line = f"{prefix}{key.value}", key.start_mark.line + 1
        if name in seen:
            raise ConfigError(f"{source}:{line}: {quoted(name)} is given a second time; remove one of the two")
        seen.add(name)
        yield name, line
        if not prefix:
            yield from lines_of_keys(value, source, f"{name}.")


def _refuse_unneeded_features(text: str) -> None:
    """Refuse anchors, which can expand to gigabytes, tags, which create objects, and deep nesting."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        unwanted = {
            "anchors and aliases": getattr(event, "anchor", None) is not None,
            "tags": getattr(event, "tag", None) is not None,
            f"more than {MAX_NESTING} levels": depth > MAX_NESTING,
        }
        for what, found in unwanted.items():
            if found:
                raise yaml.MarkedYAMLError(None, None, f"{what} are not allowed", event.start_mark)  # type: ignore[arg-type]
