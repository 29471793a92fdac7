"""Open a data set at one image size: its store where there is one, otherwise its folder."""

from __future__ import annotations

from pathlib import Path

from lba_cli.config import DataSection
from lba_cli.data.manifest import read_manifest, require_whole
from lba_cli.data.readers import FolderSplit, detect, read_dataset
from lba_cli.data.samples import Listing, fingerprint
from lba_cli.data.store import FolderImages, ImageSource, StoredImages, default_store, is_store
from lba_cli.errors import DataError
from lba_cli.reporting import Listener
from lba_cli.vocabulary import Dataset, DatasetChoice


def open_images(
    root: Path,
    dataset: DatasetChoice,
    height: int,
    width: int,
    listener: Listener,
    *,
    split: int | None = None,
    folders: FolderSplit | None = None,
) -> ImageSource:
    """Open ``root``: a prepared store, or a data set's folder (the store prepared beside it is taken if there is one).

    Args:
        root: the folder.
        dataset: whose layout it has; ``auto`` looks. A store knows that by itself.
        height, width: of the images, in pixels.
        listener: told which data are taken.
        split: the one to take of a data set that has several, from 1.
        folders: who is trained on and tested with, of folders of one's own.

    Raises:
        DataError: there is no data set at ``root``, it is of another layout, the store holds images of another size or was
            prepared from others, or ``split`` isn't one of the data set's.
    """
    folder = root if is_store(root) else default_store(root, height, width)
    alone = is_store(root) or (is_store(folder) and not root.exists())
    listing = None if alone else read_dataset(root, dataset, folders)
    if listing and not is_store(folder):
        for note in listing.notes:
            listener.warn(f"{root}: {note}")
        chosen = FolderImages(listing, height, width).of_split(split)
        _warn_of_idle_split(chosen.dataset, listing, folders, listener)
        listener.say(
            f"data: {_title(chosen)} from {root}, resized as it is read (lba prepare {listing.dataset} does that once)"
        )
        return chosen
    store = _open_store(folder, dataset, height, width)
    if listing:
        _require_same_source(folder, store, listing)
    chosen_store = store.of_split(split)
    _warn_of_idle_split(store.dataset, listing, folders, listener)
    listener.say(f"data: {_title(chosen_store)} from the store {folder}")
    return chosen_store


def open_data(section: DataSection, listener: Listener) -> ImageSource:
    """Open the data set that a configuration names; raises as :func:`open_images`, and ConfigError as FolderSplit."""
    return open_images(
        Path(section.root),
        section.dataset,
        section.height,
        section.width,
        listener,
        split=section.trial,
        folders=folder_split(section),
    )


def folder_split(section: DataSection) -> FolderSplit:
    """Who is trained on and tested with of folders of one's own, as a configuration says.

    Raises:
        ConfigError: it names one list of identities without the other.
    """
    return FolderSplit(section.split_seed, section.test_share, section.train_ids, section.test_ids)


def dataset_at(root: Path, height: int, width: int) -> Dataset:
    """Whose layout the data set at ``root`` has, be it a folder or a store.

    Raises:
        DataError: there is none, or it can't be told.
    """
    folder = root if is_store(root) or root.exists() else default_store(root, height, width)
    return read_manifest(folder).reader if is_store(folder) else detect(root)


def _open_store(folder: Path, dataset: DatasetChoice, height: int, width: int) -> StoredImages:
    store = StoredImages(folder)
    if dataset not in ("auto", store.dataset):
        raise DataError(
            f"{folder}: a store of the data set '{store.dataset}', data.dataset says '{dataset}'; "
            "leave it out, or --set data.dataset=auto"
        )
    if (store.height, store.width) != (height, width):
        raise DataError(
            f"{folder}: holds images of {store.height}×{store.width}, {height}×{width} are asked for: prepare the data "
            f"set at that size, or --set data.height={store.height} --set data.width={store.width}"
        )
    return store


def _warn_of_idle_split(
    dataset: Dataset, listing: Listing | None, folders: FolderSplit | None, listener: Listener
) -> None:
    """Say so where somebody chose a split of own folders and it changes nothing."""
    if folders in (None, FolderSplit()):
        return
    keys = "data.split_seed, data.test_share, data.train_ids and data.test_ids have no effect"
    if dataset != "folder":
        listener.warn(f"{keys}: this data set comes with its split")
    elif listing is None:
        listener.warn(f"{keys}: the store keeps the split that it was prepared with")


def _title(source: ImageSource) -> str:
    """The name of the data set, and of its split."""
    return f"{source.name}, split {source.split}," if source.split else source.name


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
            f"{folder}: prepared from other images than {listing.root} has now, or for another split of them: remove it "
            "and prepare again, or name it with --data"
        )
