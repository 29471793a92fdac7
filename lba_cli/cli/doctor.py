"""``lba doctor``: show versions, hardware, data sets and extras, for bug reports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lba_cli.cli.options import CommonOptions, command, group

if TYPE_CHECKING:
    from lba_cli.cli.diagnosis import Facts, Value

app = group()


@command(app, "lba doctor", "lba doctor --json")
def doctor(
    common: CommonOptions,
    as_json: Annotated[bool, typer.Option("--json", help="Print the same facts as JSON.")] = False,
) -> None:
    """Show versions, hardware, data sets and extras, for bug reports.

    Nothing is downloaded or changed. The output names missing or broken parts. The exit status is 0 in this case, too.
    """
    import json

    from lba_cli.cli.console import print_line
    from lba_cli.cli.diagnosis import diagnose

    facts = diagnose()
    print_line(json.dumps(facts, indent=2) if as_json else as_text(facts))


def as_text(facts: Facts) -> str:
    """Format facts as indented lines below the titles of their sections."""
    lines = []
    for section, entries in facts.items():
        lines.append(_words(section))
        lines += [f"  {_words(name)}: {_value_text(value)}" for name, value in entries.items()] or ["  none"]
    return "\n".join(lines)


def _words(name: str) -> str:
    return name.replace("_gib", " (GiB)").replace("_", " ")


def _value_text(value: Value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(value) or "none"
    return "none" if value is None else " ".join(str(value).split())
