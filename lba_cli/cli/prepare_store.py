"""The work of ``lba prepare``: read a data set, report what the copy lacks, resize its images, and count them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lba_cli.cli.options import CommonOptions
from lba_cli.datasets import AUTO, DatasetSpec
from lba_cli.errors import ConfigError
from lba_cli.vocabulary import MODALITIES, SPLITS

if TYPE_CHECKING:
    from rich.table import Table

    from lba_cli.config import DataSection
    from lba_cli.data.samples import Listing
    from lba_cli.data.store import StoredImages
    from lba_cli.datasets.spec import Shortfall
    from lba_cli.reporting import Listener

MOST_IDENTITIES = 8  # listed in a row of the table of missing images


@dataclass(frozen=True)
class PrepareRequest:
    """The options of ``lba prepare``."""

    root: Path | None
    output: Path | None
    npy: bool
    skip_broken: bool
    verify: bool
    workers: int | None


def prepare_store(spec: DatasetSpec, request: PrepareRequest, common: CommonOptions) -> None:
    """Make the store of a data set, or check the existing one, and print what it contains.

    Raises:
        ConfigError: The configuration is for another data set, or names no folder.
        DataError: The data can't be prepared, or the store is damaged.
    """
    from lba_cli.cli.console import get_console, print_line
    from lba_cli.data.prepare import prepare
    from lba_cli.data.store import StoredImages, default_store

    listener = common.listener
    data = _data_config(spec, request, common)
    root = Path(data.root)
    store = request.output or default_store(root, data.height, data.width)
    if request.verify:
        _verify(store, spec.read(root, data.options_for(spec)) if root.exists() else None, listener)
        return
    listing = spec.read(root, data.options_for(spec))
    for note in listing.notes:
        listener.warn(note)
    if shortfalls := spec.shortfalls(listing):
        listener.warn(f"{root} differs from the complete {spec.title}:")
        get_console().print(_shortfall_table(shortfalls))
    made = prepare(
        listing,
        store,
        data.height,
        data.width,
        listener=listener,
        workers=request.workers,
        skip_broken=request.skip_broken,
        shared_arrays=request.npy,
    )
    for path, reason in made.skipped:
        listener.warn(f"left out {path}: {reason}")
    get_console().print(_counts_table(StoredImages(made.store)))
    print_line(f"{made.images:,} images of {data.height}×{data.width} are ready in {made.store}")


def _data_config(spec: DatasetSpec, request: PrepareRequest, common: CommonOptions) -> DataSection:
    """Return the section ``data``; the root is the data set's usual folder unless another one is named."""
    from lba_cli.config import DataSection

    usual = {"dataset": spec.name, **({"root": spec.default_root} if spec.default_root else {})}
    options = {"data.root": request.root and str(request.root), "data.dataset": spec.name if request.root else None}
    data = common.load(options, base={"data": usual}).data
    if data.dataset not in (spec.name, AUTO):
        raise ConfigError(
            f"the configuration is for the data set '{data.dataset}' (data.dataset): use lba prepare {data.dataset}, or name "
            f"the folder of '{spec.name}' with --root"
        )
    if not spec.default_root and request.root is None and data.root == DataSection().root:
        raise ConfigError("data.root is needed: name the folder with --root DIR, or in a config file")
    return data


def _verify(store: Path, listing: Listing | None, listener: Listener) -> None:
    from lba_cli.cli.console import print_line
    from lba_cli.datasets.open import verify_store

    checked = verify_store(store, listing, listener)
    source = "its source isn't here, so it wasn't compared with it"
    if listing:
        source = f"{listing.root} still has the same files, by name and size"
    print_line(f"{store} is intact: {checked.images:,} images; {source}")


def _shortfall_table(shortfalls: list[Shortfall]) -> Table:
    """List how many images a copy lacks, by camera."""
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
    """Count identities and images by split and modality, in every trial."""
    from rich.markup import escape
    from rich.table import Table

    from lba_cli.data.samples import select

    trials = sorted({sample.trial for sample in store.samples})
    several = trials != [0]
    table = Table(*(["trial"] if several else []), "split", "identities", *MODALITIES, title=escape(store.name))
    for trial in trials:
        samples = store.of_trial(trial or None).samples
        for split in SPLITS:
            identities = {sample.identity for sample in samples if sample.split == split}
            counts = [f"{len(select(samples, split, modality)):,}" for modality in MODALITIES]
            table.add_row(*([str(trial)] if several else []), split, str(len(identities)), *counts)
    return table
