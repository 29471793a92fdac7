"""Open a data set at one image size: its store where there is one, otherwise its folder."""

from __future__ import annotations

from pathlib import Path

from lba_cli.data.manifest import read_manifest, require_whole
from lba_cli.data.readers import READERS
from lba_cli.data.samples import Listing, fingerprint
from lba_cli.data.store import FolderImages, ImageSource, StoredImages, default_store, is_store
from lba_cli.errors import DataError
from lba_cli.reporting import Listener


def open_images(
    root: Path, dataset: str, height: int, width: int, listener: Listener, *, split: int | None = None
) -> ImageSource:
    """Open ``root``: a prepared store, or a data set's folder (the store prepared beside it is taken if there is one).

    Raises:
        DataError: there is no data set at ``root``, or the store holds images of another size.
    """
    folder = root if is_store(root) else default_store(root, height, width)
    listing = None if is_store(root) or (is_store(folder) and not root.exists()) else READERS[dataset](root)
    if listing and not is_store(folder):
        for note in listing.notes:
            listener.warn(f"{root}: {note}")
        listener.say(f"data: {listing.name} from {root}, resized as it is read (lba prepare {dataset} does that once)")
        return FolderImages(listing, height, width)
    store = StoredImages(folder)
    if (store.height, store.width) != (height, width):
        raise DataError(
            f"{folder}: holds images of {store.height}×{store.width}, {height}×{width} are asked for: prepare the data "
            f"set at that size, or --set data.height={store.height} --set data.width={store.width}"
        )
    if listing:
        _require_same_source(folder, store, listing)
    listener.say(f"data: {store.name} from the store {folder}")
    return store


def verify_store(folder: Path, listing: Listing | None, listener: Listener) -> StoredImages:
    """Read every byte of the store at ``folder`` and hold it against its checksums, and against the source's listing.

    Raises:
        DataError: there is no store, it was cut short or changed, or the source has other images now.
    """
    if not is_store(folder):
        raise DataError(f"{folder}: no prepared store there; name one with --output, or prepare it first")
    store = StoredImages(folder)
    require_whole(folder, read_manifest(folder), large=True)
    store.check(range(len(store.samples)), listener)
    if listing:
        _require_same_source(folder, store, listing)
    return store


def _require_same_source(folder: Path, store: StoredImages, listing: Listing) -> None:
    if fingerprint(listing) != store.fingerprint:
        raise DataError(
            f"{folder}: prepared from other images than {listing.root} has now: remove it and prepare again, or name it "
            "with --data"
        )
