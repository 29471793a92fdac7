"""Commands whose modules are imported when they are called, so that ``lba --help`` starts quickly."""

from __future__ import annotations

import importlib
from functools import cached_property
from typing import Any

import typer
from typer.core import TyperCommand


class LazyCommand(TyperCommand):
    """Stands for the command, or group of commands, in ``lba_cli.cli.NAME`` until it is called.

    Args:
        name: the name of the command and of its module, which defines it as ``app``.
        summary: the command's line in ``lba --help``. A group without a help text of its own shows it too.
    """

    def __init__(self, name: str, summary: str) -> None:
        super().__init__(name, help=summary)

    @cached_property
    def command(self) -> Any:
        """The real command, imported on first use."""
        command = typer.main.get_command(importlib.import_module(f"lba_cli.cli.{self.name}").app)
        command.help = command.help or self.help
        return command

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        """Let the real command parse its arguments."""
        return self.command.make_context(*arguments, **options)


def command_group() -> typer.Typer:
    """Create the group that a command's module adds its command, or its subcommands, to."""
    return typer.Typer(no_args_is_help=True, rich_markup_mode="markdown", add_completion=False)
