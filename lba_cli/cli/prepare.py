"""``lba prepare``: make the store of a data set, or generate a synthetic data set."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from lba_cli.cli.options import CommonOptions, command, new_app
from lba_cli.cli.prepare_store import PrepareRequest, prepare_store
from lba_cli.datasets import DATASETS, DEFAULT_DATASET, DatasetSpec, get_dataset

Root = Annotated[Path | None, typer.Option(metavar="DIR", help="The data set's folder [data.root].")]
Output = Annotated[
    Path | None, typer.Option(metavar="DIR", help="The store to make. Default: beside the data set's folder.")
]
Npy = Annotated[
    bool,
    typer.Option(
        "--npy", help="Also write the training images as the four `train_*_resized_*.npy` files that other code reads."
    ),
]
SkipBroken = Annotated[
    bool, typer.Option("--skip-broken", help="Leave out images that can't be decoded, and record them in the store.")
]
Verify = Annotated[bool, typer.Option("--verify", help="Make nothing; check every byte of the existing store.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Number of processes. Default: one per core.")]


class _DatasetCommands(TyperGroup):
    """The commands of ``lba prepare``: one for each data set that is known when the group is built, and ``synthetic``."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = {**{spec.name: _prepare_command(spec) for spec in DATASETS.values()}, **self.commands}


app = new_app()


@app.callback(cls=_DatasetCommands)
def _group() -> None: ...  # without a callback, Typer would make a group of one command that command


def _prepare_command(spec: DatasetSpec) -> Any:
    """Make the command ``lba prepare NAME`` of a data set."""
    single = new_app()

    @command(single, *spec.prepare_examples, name=spec.name, help=spec.prepare_help)
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

    return typer.main.get_command(single)


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
        typer.Option(
            metavar="tiny|small|sysu", help="How many people and images; sysu has exactly the counts of SYSU-MM01."
        ),
    ] = "small",
    layout: Annotated[
        str, typer.Option(metavar="|".join(DATASETS), help="The data set whose folder layout is written.")
    ] = DEFAULT_DATASET,
    output: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The folder to make. Default: datasets/synthetic-PRESET[-LAYOUT]."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything random.")] = 0,
    workers: Workers = None,
) -> None:
    """Generate images of synthetic people under visible and near-infrared cameras, in the folder layout of a data set."""
    from lba_cli.cli.console import print_line
    from lba_cli.datasets.synthesize import write_synthetic

    common.load()
    usual = f"synthetic-{preset}" if layout == DEFAULT_DATASET else f"synthetic-{preset}-{layout}"
    place = output or Path("datasets") / usual
    written = write_synthetic(get_dataset(layout), preset, place, seed=seed, workers=workers, listener=common.listener)
    print_line(
        f"{written.images:,} images of {written.identities} people are in {place}. "
        f"Next: lba prepare {layout} --root {shlex.quote(str(place))}"
    )
