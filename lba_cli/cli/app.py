"""The ``lba`` command line. Each command has a module of its own, which is imported when the command is called."""

import importlib
from functools import cached_property
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from lba_cli import __version__

COMMANDS = {
    "prepare": "Prepare a data set for training, or generate a synthetic one.",
    "train": "Train a network. Ctrl-C saves the state, and --resume continues from it.",
    "evaluate": "Score checkpoints on the test images: rank-1/5/10/20, mAP and mINP.",
    "export": "Export the embedding network, together with a model card.",
    "visualize": "Draw correspondences, ranked lists, masks or training curves, or write an HTML report.",
    "embed": "Compute embeddings of images and save them to a file.",
    "search": "Build an index of gallery images and search it with query images.",
    "demo": "Try everything on synthetic people: generate, train, evaluate and draw, within minutes.",
    "doctor": "Show versions, hardware, data sets and extras, for bug reports.",
}


class LazyCommand(TyperCommand):
    """A placeholder for the command, or group of commands, in ``lba_cli.cli.NAME``. A call imports this module.

    Args:
        name: the name of the command and of its module, which defines it as ``app``.
        summary: the command's line in ``lba --help``, and the help text of a group that has no help text of its own.
    """

    def __init__(self, name: str, summary: str) -> None:
        super().__init__(name, help=summary)

    @cached_property
    def command(self) -> Any:
        """The real command. It is imported on first use, so that ``lba --help`` starts quickly."""
        command = typer.main.get_command(importlib.import_module(f"lba_cli.cli.{self.name}").app)
        command.help = command.help or self.help
        return command

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        """Let the real command parse its arguments."""
        return self.command.make_context(*arguments, **options)


class CommandList(TyperGroup):
    """The group of all commands, in the order in which a user needs them."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        for name, summary in COMMANDS.items():
            self.add_command(LazyCommand(name, summary))


app = typer.Typer(
    name="lba",
    cls=CommandList,
    help="Visible-infrared person re-identification by dense cross-modal alignment (Learning by Aligning, ICCV 2021).",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="New here? `lba demo` shows everything in a few minutes and needs no data.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lba {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_show_version)
    ] = False,
) -> None: ...
