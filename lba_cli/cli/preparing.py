"""What ``lba prepare`` does for every data set: read, tell what is wrong with the copy, resize, count."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lba_cli.cli.options import load_config
from lba_cli.errors import ConfigError
from lba_cli.vocabulary import MODALITIES, PARTS, Dataset

if TYPE_CHECKING:
    from rich.table import Table

    from lba_cli.config import DataSection
    from lba_cli.data.samples import Listing
    from lba_cli.data.store import StoredImages
    from lba_cli.reporting import Listener

DEFAULT_ROOTS: dict[Dataset, str] = {
    "sysu": "datasets/SYSU-MM01",
    "regdb": "datasets/RegDB",
    "llcm": "datasets/LLCM",
}


@dataclass(frozen=True)
class Request:
    """The options that the commands share."""

    root: Path | None
    output: Path | None
    skip_broken: bool
    verify: bool
    workers: int | None
    config: Path | None
    assignments: list[str] | None
    npy: bool = False


def prepare_store(dataset: Dataset, request: Request) -> None:
    """Make the store of a data set, or check the one that is there, and print what it holds.

    Raises:
        ConfigError: the settings are of another data set, or name no folder. DataError: the data can't be prepared.
    """
    from lba_cli.cli.console import listener, output
    from lba_cli.data.open import folder_split
    from lba_cli.data.prepare import prepare
    from lba_cli.data.readers import read_dataset
    from lba_cli.data.store import StoredImages, default_store

    told = listener()
    data = _settings(dataset, request, told)
    folder = Path(data.root)
    store = request.output or default_store(folder, data.height, data.width)
    if request.verify:
        _verify(store, read_dataset(folder, dataset, folder_split(data)) if folder.exists() else None, told)
        return
    listing = read_dataset(folder, dataset, folder_split(data))
    for note in listing.notes:
        told.warn(note)
    if table := _missing_table(listing):
        told.warn(f"{folder} differs from the complete SYSU-MM01:")
        output().print(table)
    made = prepare(
        listing,
        store,
        data.height,
        data.width,
        listener=told,
        workers=request.workers,
        skip_broken=request.skip_broken,
        shared_arrays=request.npy,
    )
    for path, reason in made.skipped:
        told.warn(f"left out {path}: {reason}")
    output().print(_counts_table(StoredImages(made.store)))
    output().print(f"{made.images:,} images of {data.height}×{data.width} are ready in {made.store}", markup=False)


def _settings(dataset: Dataset, request: Request, told: Listener) -> DataSection:
    """The data's settings, with the data set's usual folder below them."""
    from lba_cli.config import DataSection

    usual = {"dataset": dataset, **({"root": DEFAULT_ROOTS[dataset]} if dataset in DEFAULT_ROOTS else {})}
    options = {"data.root": request.root and str(request.root), "data.dataset": dataset if request.root else None}
    data = load_config(request.config, request.assignments, options, told, base={"data": usual}).data
    if data.dataset not in (dataset, "auto"):
        raise ConfigError(
            f"the settings are of the data set '{data.dataset}' (data.dataset): use lba prepare {data.dataset}, or name the "
            f"folder to prepare as '{dataset}' with --root"
        )
    if dataset not in DEFAULT_ROOTS and request.root is None and data.root == DataSection().root:
        raise ConfigError("data.root is needed: name the folder with --root DIR, or in a configuration")
    return data


def _verify(store: Path, listing: Listing | None, told: Listener) -> None:
    """Check a store fully, and say so."""
    from lba_cli.cli.console import output
    from lba_cli.data.open import verify_store

    checked = verify_store(store, listing, told)
    source = (
        f"{listing.root} still has the files it was made from, by name and size"
        if listing
        else "its source isn't here to compare with"
    )
    output().print(f"{store} is whole: {checked.images:,} images; {source}", markup=False, soft_wrap=True)


def _missing_table(listing: Listing) -> Table | None:
    """What a copy of SYSU-MM01 lacks, by camera; None where it is complete."""
    from collections import Counter

    from rich.table import Table

    from lba_cli.data.inventory import compare_with_inventory
    from lba_cli.data.readers.sysu import LAYOUT

    if listing.dataset != LAYOUT.dataset or listing.name not in (LAYOUT.title, "synthetic-sysu"):
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


def _counts_table(store: StoredImages) -> Table:
    """Identities and images by part and modality, in every split."""
    from rich.markup import escape
    from rich.table import Table

    from lba_cli.data.samples import select

    splits = sorted({sample.split for sample in store.samples})
    several = splits != [0]
    table = Table(*(["split"] if several else []), "", "identities", *MODALITIES, title=escape(store.name))
    for split in splits:
        samples = store.of_split(split or None).samples
        for part in PARTS:
            identities = {sample.identity for sample in samples if sample.part == part}
            counts = [f"{len(select(samples, part, modality)):,}" for modality in MODALITIES]
            table.add_row(*([str(split)] if several else []), part, str(len(identities)), *counts)
    return table
