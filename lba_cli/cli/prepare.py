"""``lba prepare``: from a data set's folder to a store; or draw a synthetic data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lba_cli.cli.boundary import guarded
from lba_cli.cli.options import Assignments, ConfigFile, Debug, examples, load_config

if TYPE_CHECKING:
    from rich.table import Table

    from lba_cli.data.samples import Listing
    from lba_cli.data.store import ImageSource
    from lba_cli.reporting import Listener

app = typer.Typer(
    help="Prepare a data set, or draw a synthetic one.", no_args_is_help=True, rich_markup_mode="markdown"
)

Workers = Annotated[int | None, typer.Option(min=1, help="Processes; all cores by default.", show_default=False)]


@app.command(
    epilog=examples(
        "lba prepare sysu",
        "lba prepare sysu --root /data/SYSU-MM01 --output /fast/sysu --npy",
        "lba prepare sysu --verify",
        "lba prepare sysu --set data.height=384 --set data.width=192",
    )
)
@guarded
def sysu(
    root: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The folder with cam1…cam6 and exp [data.root].", show_default=False),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The store to make; by default beside the root.", show_default=False),
    ] = None,
    npy: Annotated[
        bool, typer.Option("--npy", help="Also write the field's four train_*_resized_*.npy into the store.")
    ] = False,
    skip_broken: Annotated[
        bool, typer.Option("--skip-broken", help="Leave out images that can't be decoded, and record them.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Make nothing: check the store that is there, every byte of it.")
    ] = False,
    workers: Workers = None,
    config: ConfigFile = None,
    assignments: Assignments = None,
    debug: Debug = False,
) -> None:
    """Resize SYSU-MM01 once into a memory-mapped store.

    Training and evaluation find a store beside the root by themselves; name one elsewhere with their --data.
    """
    from lba_cli.cli.console import listener
    from lba_cli.cli.console import output as out
    from lba_cli.data.prepare import prepare
    from lba_cli.data.readers import read_sysu
    from lba_cli.data.store import StoredImages, default_store

    told = listener()
    run = load_config(config, assignments, {"data.root": root and str(root)}, told)
    folder, data = Path(run.data.root), run.data
    store = output or default_store(folder, data.height, data.width)
    if verify:
        _verify(store, read_sysu(folder) if folder.exists() else None, told)
        return
    listing = read_sysu(folder)
    for note in listing.notes:
        told.warn(note)
    if table := _missing_table(listing):
        told.warn(f"{folder} differs from the complete SYSU-MM01:")
        out().print(table)
    made = prepare(
        listing,
        store,
        data.height,
        data.width,
        listener=told,
        workers=workers,
        skip_broken=skip_broken,
        shared_arrays=npy,
    )
    for path, reason in made.skipped:
        told.warn(f"left out {path}: {reason}")
    out().print(_counts_table(StoredImages(made.store)))
    out().print(f"{made.images:,} images of {data.height}×{data.width} are ready in {made.store}", markup=False)


def _verify(store: Path, listing: Listing | None, told: Listener) -> None:
    """Check a store fully, and say so."""
    from lba_cli.cli.console import output as out
    from lba_cli.data.open import verify_store

    checked = verify_store(store, listing, told)
    source = f"made from what {listing.root} has now" if listing else "its source isn't here to compare with"
    out().print(f"{store} is whole: {len(checked.samples):,} images; {source}", markup=False, soft_wrap=True)


@app.command(
    epilog=examples(
        "lba prepare synthetic --preset tiny --output datasets/SYSU-MM01",
        "lba prepare synthetic --preset sysu --seed 7",
    )
)
@guarded
def synthetic(
    preset: Annotated[
        str,
        typer.Option(metavar="tiny|small|sysu", help="How many people and images; sysu: the real one's exact counts."),
    ] = "small",
    output: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The folder to make; default: datasets/synthetic-PRESET.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of everything that is drawn.")] = 0,
    workers: Workers = None,
    config: ConfigFile = None,
    assignments: Assignments = None,
    debug: Debug = False,
) -> None:
    """Draw people under visible and near-infrared cameras, in SYSU-MM01's layout on disk. No real person is shown."""
    from lba_cli.cli.console import listener
    from lba_cli.cli.console import output as out
    from lba_cli.data.synthetic import write_dataset

    told = listener()
    load_config(config, assignments, {}, told)
    folder = output or Path("datasets") / f"synthetic-{preset}"
    written = write_dataset(preset, folder, seed=seed, workers=workers, listener=told)
    out().print(
        f"{written.images:,} images of {written.identities} people are in {folder}. Next: lba prepare sysu --root {folder}",
        markup=False,
    )


def _missing_table(listing: Listing) -> Table | None:
    """What a copy of the real data set lacks, by camera; None where it is complete."""
    from collections import Counter

    from rich.table import Table

    from lba_cli.data.inventory import compare_with_inventory
    from lba_cli.data.readers.sysu import LAYOUT

    if listing.name not in (LAYOUT.title, "synthetic-sysu"):
        return None
    shortfalls = compare_with_inventory(Counter((s.identity, s.camera) for s in listing.samples))
    if not shortfalls:
        return None
    table = Table("camera", "images", "of", "difference", "in identities")
    for each in shortfalls:
        names = ", ".join(f"{identity:04d}" for identity in each.identities[:8])
        more = f" and {len(each.identities) - 8} more" if len(each.identities) > 8 else ""
        row = (each.camera, f"{each.found:,}", f"{each.expected:,}", f"{each.found - each.expected:+,}", names + more)
        table.add_row(*map(str, row))
    return table


def _counts_table(source: ImageSource) -> Table:
    """Identities and images by part and modality."""
    from rich.table import Table

    from lba_cli.data.samples import select
    from lba_cli.vocabulary import MODALITIES, PARTS

    table = Table("", "identities", *MODALITIES, title=source.name)
    for part in PARTS:
        identities = {sample.identity for sample in source.samples if sample.part == part}
        counts = [f"{len(select(source.samples, part, modality)):,}" for modality in MODALITIES]
        table.add_row(part, str(len(identities)), *counts)
    return table
