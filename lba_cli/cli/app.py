"""The command line: one app, one file a command. Nothing heavy is imported before a command runs."""

from __future__ import annotations

from typing import Annotated

import typer

from lba_cli import __version__
from lba_cli.cli import demo, embed, evaluate, export, prepare, search, train, visualize

app = typer.Typer(
    name="lba",
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


app.add_typer(prepare.app, name="prepare")
app.command("train", epilog=train.EXAMPLES)(train.train)
app.command("evaluate", epilog=evaluate.EXAMPLES)(evaluate.evaluate)
app.command("export", epilog=export.EXAMPLES)(export.export)
app.add_typer(visualize.app, name="visualize")
app.command("embed", epilog=embed.EXAMPLES)(embed.embed)
app.add_typer(search.app, name="search")
app.command("demo", epilog=demo.EXAMPLES)(demo.demo)
