"""Commands whose files are read when they are called: listing them costs a name and a line each."""

from __future__ import annotations

import importlib
from functools import cached_property
from typing import Any

import typer
from typer.core import TyperCommand


class Deferred(TyperCommand):
    """The command, or group of commands, that ``lba_cli.cli.NAME`` has as ``app``.

    Args:
        name: of the command and of its file.
        summary: its line in the list of commands; the first of a command's own help, all of a group's.
    """

    def __init__(self, name: str, summary: str) -> None:
        super().__init__(name, help=summary)

    @cached_property
    def command(self) -> Any:
        """The one it stands for."""
        command = typer.main.get_command(importlib.import_module(f"lba_cli.cli.{self.name}").app)
        command.help = command.help or self.help
        return command

    def make_context(self, *words: Any, **more: Any) -> Any:
        """Parse the command's words by its own options."""
        return self.command.make_context(*words, **more)


def commands() -> typer.Typer:
    """What a command's file adds its command, or its several, to."""
    return typer.Typer(no_args_is_help=True, rich_markup_mode="markdown", add_completion=False)
