"""The command line: one app, one file a command. A file is read when its command is called."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from lba_cli import __version__
from lba_cli.cli.lazy_commands import Deferred

COMMANDS = {
    "prepare": "Prepare a data set, or draw a synthetic one.",
    "train": "Train a network: the paper's recipe by default. Ctrl-C saves the state; --resume goes on from it.",
    "evaluate": (
        "Score checkpoints on the test images: rank-1/5/10/20, mAP and mINP, mean ± deviation over the trials."
    ),
    "export": "Write the network that embeds images, for any batch size, and a model card beside it.",
    "visualize": "Draw correspondences, ranked lists, masks, or the curves of a run; or all of it as one HTML page.",
    "embed": "Embed any images: unit-length vectors whose dot products are the scores.",
    "search": "Build an index of a gallery once, then rank it for query images.",
    "demo": (
        "Draw people, train the full method on them for minutes, evaluate before and after, and draw the pictures."
    ),
}


class Commands(TyperGroup):
    """The commands, in the order in which they are needed."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for name, summary in COMMANDS.items():
            self.add_command(Deferred(name, summary))


app = typer.Typer(
    name="lba",
    cls=Commands,
    help="Visible-infrared person re-identification by dense cross-modal alignment (Learning by Aligning, ICCV 2021).",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="New here? `lba demo` shows the whole of it in a few minutes, without any data.",
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
