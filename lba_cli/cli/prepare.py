"""``lba prepare``: make the store of a data set, or generate a synthetic data set."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from lba_cli.cli.options import CommonOptions, command, group
from lba_cli.datasets import AUTO, DATASETS, DEFAULT_DATASET, DatasetSpec, get_dataset
from lba_cli.errors import ConfigError
from lba_cli.vocabulary import ALL_SPLITS, MODALITIES, SPLITS

if TYPE_CHECKING:
    from rich.table import Table

    from lba_cli.config import DataSection
    from lba_cli.data.store import StoredImages
    from lba_cli.datasets.spec import Shortfall

MOST_IDENTITIES = 8  # listed in a row of the table of missing images

Root = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="The data set's folder, or a CSV file of your own images [data.root]."),
]
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


app = group()


@app.callback(cls=_DatasetCommands)
def _group() -> None: ...  # without a callback, Typer would turn a group of one command into that command


def _prepare_command(spec: DatasetSpec) -> Any:
    """Make the command ``lba prepare NAME`` of a data set."""
    single = group()

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
        from lba_cli.cli.console import get_console, print_line
        from lba_cli.data.prepare import prepare
        from lba_cli.data.store import StoredImages, default_store
        from lba_cli.datasets.open import verify_store, warn_of_unused_options

        listener = common.listener
        data = _data_config(spec, root, common)
        warn_of_unused_options(data, spec.name, listener)
        folder = Path(data.root)
        store = output or default_store(folder, data.height, data.width)
        if verify:
            known = spec.read(folder, data.options_for(spec)) if folder.exists() else None
            checked = verify_store(store, known, listener)
            source = "the folder that it was prepared from isn't here, so the store wasn't compared with it"
            if known:
                source = f"{known.root} still has the same files, by name and size"
            print_line(f"{store} is intact: {checked.images:,} images; {source}")
            return
        listing = replace(spec.read(folder, data.options_for(spec)), value_range=data.value_range)
        for note in (*listing.notes, *spec.sample_notes(listing.samples)):
            listener.warn(note)
        if shortfalls := spec.shortfalls(listing):
            listener.warn(f"{folder}: the numbers of images differ from the complete {spec.title}; see the table")
            get_console().print(_shortfall_table(shortfalls))
        made = prepare(
            listing,
            store,
            data.height,
            data.width,
            listener=listener,
            workers=workers,
            skip_broken=skip_broken,
            shared_arrays=npy,
        )
        for path, reason in made.skipped:
            listener.warn(f"left out {path}: {reason}")
        get_console().print(_counts_table(StoredImages(made.store)))
        ready = f"{made.images:,} images of {data.height}×{data.width} are ready in {made.store}"
        print_line(f"{ready}. Next: lba train --data {shlex.quote(data.root)}")

    return typer.main.get_command(single)


@command(
    app,
    "lba prepare synthetic --preset tiny --output datasets/SYSU-MM01",
    "lba prepare synthetic --preset tiny --layout regdb",
    "lba prepare synthetic --preset sysu --seed 7",
    "lba prepare synthetic --truth",
)
def synthetic(
    common: CommonOptions,
    preset: Annotated[
        str,
        typer.Option(
            metavar="tiny|small|loose|sysu",
            help="How many people and images; sysu has exactly the counts of SYSU-MM01. loose is small with people who fill their "
            "images unevenly, as in the boxes of a detector.",
        ),
    ] = "small",
    layout: Annotated[
        str, typer.Option(metavar="|".join(DATASETS), help="The data set whose folder layout is written.")
    ] = DEFAULT_DATASET,
    output: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The folder to make. Default: datasets/synthetic-PRESET[-LAYOUT]."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Random seed.")] = 0,
    truth: Annotated[
        bool,
        typer.Option(
            "--truth", help="Also write which point of the body each pixel shows, for lba evaluate --correspondences."
        ),
    ] = False,
    workers: Workers = None,
) -> None:
    """Generate images of synthetic people under visible and near-infrared cameras, in the folder layout of a data set."""
    from lba_cli.cli.console import print_line
    from lba_cli.datasets.synthesize import write_synthetic

    common.load()
    usual = f"synthetic-{preset}" if layout == DEFAULT_DATASET else f"synthetic-{preset}-{layout}"
    place = output or Path("datasets") / usual
    written = write_synthetic(
        get_dataset(layout), preset, place, seed=seed, truth=truth, workers=workers, listener=common.listener
    )
    print_line(
        f"{written.images:,} images of {written.identities} people are in {place}. "
        f"Next: lba prepare {layout} --root {shlex.quote(str(place))}"
    )


def _data_config(spec: DatasetSpec, root: Path | None, common: CommonOptions) -> DataSection:
    """Return the section ``data`` of the configuration. Its default root is the data set's usual folder."""
    from lba_cli.config import DataSection

    usual = {"dataset": spec.name, **({"root": spec.default_root} if spec.default_root else {})}
    options = {"data.root": root and str(root), "data.dataset": spec.name if root else None}
    data = common.load(options, base={"data": usual}).data
    if data.dataset not in (spec.name, AUTO):
        raise ConfigError(
            f"the configuration is for the data set '{data.dataset}' (data.dataset): use lba prepare {data.dataset}, or name "
            f"the folder of '{spec.name}' with --root"
        )
    if not spec.default_root and root is None and data.root == DataSection().root:
        raise ConfigError("data.root is needed: name the folder with --root DIR, or in a config file")
    return data


def _shortfall_table(shortfalls: list[Shortfall]) -> Table:
    """Return a table of the cameras whose numbers of images differ from the complete data set."""
    from rich.table import Table

    table = Table("camera", "images", "complete", "difference", "identities")
    for each in shortfalls:
        names = ", ".join(f"{identity:04d}" for identity in each.identities[:MOST_IDENTITIES])
        rest = len(each.identities) - MOST_IDENTITIES
        more = f" and {rest} more" if rest > 0 else ""
        row = (each.camera, f"{each.found:,}", f"{each.expected:,}", f"{each.found - each.expected:+,}", names + more)
        table.add_row(*map(str, row))
    return table


def _counts_table(store: StoredImages) -> Table:
    """Return a table with the numbers of identities and images in each trial and split, by modality."""
    from rich.table import Table

    from lba_cli.data.samples import select

    trials = sorted({sample.trial for sample in store.samples})
    several = trials != [0]
    table = Table(*(["trial"] if several else []), "split", "identities", *MODALITIES, title=store.name)
    for trial in trials:
        samples = store.of_trial(trial or None).samples
        for split in ALL_SPLITS:
            identities = {sample.identity for sample in samples if sample.split == split}
            if not identities and split not in SPLITS:
                continue
            counts = [f"{len(select(samples, split, modality)):,}" for modality in MODALITIES]
            table.add_row(*([str(trial)] if several else []), split, str(len(identities)), *counts)
    return table
