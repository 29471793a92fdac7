"""``lba prepare``: prepare a store of a data set, or draw a synthetic data set."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from lba_cli.cli.lazy_commands import commands
from lba_cli.cli.options import CommonOptions, command
from lba_cli.cli.prepare_store import PrepareRequest, prepare_store
from lba_cli.datasets import DATASETS, DEFAULT_DATASET, DatasetSpec, get_dataset

Root = Annotated[
    Path | None, typer.Option(metavar="DIR", help="The data set's folder [data.root].", show_default=False)
]
Output = Annotated[
    Path | None, typer.Option(metavar="DIR", help="The store to make; by default beside the root.", show_default=False)
]
Npy = Annotated[
    bool,
    typer.Option(
        "--npy", help="Also write the field's four train_*_resized_*.npy of the training images into the store."
    ),
]
SkipBroken = Annotated[
    bool, typer.Option("--skip-broken", help="Leave out images that can't be decoded, and record them.")
]
Verify = Annotated[
    bool, typer.Option("--verify", help="Make nothing: check the store that is there, every byte of it.")
]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes; all cores by default.", show_default=False)]


class _DatasetCommands(TyperGroup):
    """The commands of ``lba prepare``: one for every data set that is known when the group is built, and ``synthetic``."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = {**{spec.name: _prepare_command(spec) for spec in DATASETS.values()}, **self.commands}


app = commands()


@app.callback(cls=_DatasetCommands)
def _group() -> None: ...  # without a callback, Typer would make a group of one command that command


def _prepare_command(spec: DatasetSpec) -> Any:
    """The command ``lba prepare NAME`` of a data set."""
    alone = commands()

    @command(alone, *spec.prepare_examples, name=spec.name, help=spec.prepare_help)
    def prepare(
        common: CommonOptions,
        root: Root = None,
        output: Output = None,
        npy: Npy = False,
        skip_broken: SkipBroken = False,
        verify: Verify = False,
        workers: Workers = None,
    ) -> None:
        prepare_store(spec, PrepareRequest(root, output, npy, skip_broken, verify, workers), common)

    return typer.main.get_command(alone)


@command(
    app,
    "lba prepare synthetic --preset tiny --output datasets/SYSU-MM01",
    "lba prepare synthetic --preset tiny --layout regdb",
    "lba prepare synthetic --preset sysu --seed 7",
)
def synthetic(
    common: CommonOptions,
    preset: Annotated[
        str,
        typer.Option(metavar="tiny|small|sysu", help="How many people and images; sysu: the real one's exact counts."),
    ] = "small",
    layout: Annotated[
        str, typer.Option(metavar="|".join(DATASETS), help="The data set whose folders and lists are written.")
    ] = DEFAULT_DATASET,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="The folder to make; default: datasets/synthetic-PRESET[-LAYOUT].", show_default=False
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of everything that is drawn.")] = 0,
    workers: Workers = None,
) -> None:
    """Draw people under visible and near-infrared cameras, in any data set's layout on disk. No real person is shown."""
    from lba_cli.cli.console import get_console, get_listener
    from lba_cli.datasets.synthesize import write_synthetic

    listener = get_listener()
    common.load({}, listener)
    usual = f"synthetic-{preset}" if layout == DEFAULT_DATASET else f"synthetic-{preset}-{layout}"
    place = output or Path("datasets") / usual
    written = write_synthetic(get_dataset(layout), preset, place, seed=seed, workers=workers, listener=listener)
    get_console().print(
        f"{written.images:,} images of {written.identities} people are in {place}. "
        f"Next: lba prepare {layout} --root {shlex.quote(str(place))}",
        markup=False,
        soft_wrap=True,
    )
