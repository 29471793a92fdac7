"""Open a data set at one image size: its prepared store where there is one, otherwise its folder."""

from dataclasses import replace
from pathlib import Path
from typing import Protocol

from lba_cli.data.samples import Listing, fingerprint
from lba_cli.data.store import FolderImages, ImageSource, StoredImages, default_store, is_store
from lba_cli.data.store_manifest import read_manifest, require_whole
from lba_cli.datasets import AUTO, DATASETS, DatasetOptions, DatasetSpec, detect, find_spec, get_dataset
from lba_cli.errors import DataError
from lba_cli.reporting import Listener
from lba_cli.value_range import KEY, ValueRange, shown


class DataConfig(Protocol):
    """The configuration of a data set, see :class:`lba_cli.config.DataSection`."""

    @property
    def root(self) -> str:
        """The data set's folder, or a prepared store."""

    @property
    def dataset(self) -> str:
        """The data set's name, or ``auto``."""

    @property
    def height(self) -> int:
        """The images' height, in pixels."""

    @property
    def width(self) -> int:
        """The images' width, in pixels."""

    @property
    def value_range(self) -> ValueRange:
        """How pixels of more than 8 bits become 8 bits."""

    @property
    def trial(self) -> int | None:
        """The trial to use, for a data set that has several."""

    def options_for(self, spec: DatasetSpec) -> DatasetOptions:
        """The options that only this data set has."""


def open_data(config: DataConfig, listener: Listener) -> ImageSource:
    """Open the data set that a configuration names.

    ``config.root`` is a prepared store or a data set's folder. A store that was prepared beside the folder is preferred.

    ``listener`` receives a line on which data are used, and warnings about them.

    Raises:
        DataError: there is no data set, it has another layout, the store holds images of another size or was prepared from
            other images, or the trial isn't one of the data set's.
        ConfigError: no data set has the configured name.
    """
    root = Path(config.root)
    folder = root if is_store(root) else default_store(root, config.height, config.width)
    store_alone = is_store(root) or (is_store(folder) and not root.exists())
    listing = None
    if not store_alone:
        spec = find_spec(root, config.dataset)
        listing = replace(spec.read(root, config.options_for(spec)), value_range=config.value_range)
    source: FolderImages | StoredImages
    if listing and not is_store(folder):
        for note in listing.notes:
            listener.warn(f"{root}: {note}")
        source = FolderImages(listing, config.height, config.width).of_trial(config.trial)
        place = f"{root}, resized while it is read (lba prepare {listing.dataset} does that once)"
    else:
        store = _open_store(folder, config)
        if listing:
            _require_same_source(folder, store, listing)
        source = store.of_trial(config.trial)
        place = f"the store {folder}"
    _warn_of_unused_options(config, source.dataset, listing, listener)
    title = f"{source.name}, trial {source.trial}," if source.trial else source.name
    listener.say(f"data: {title} from {place}")
    return source


def dataset_at(root: Path, height: int, width: int) -> DatasetSpec:
    """Recognise the data set at ``root``, a folder or a store; raises what :func:`~lba_cli.datasets.detect` raises."""
    folder = root if is_store(root) or root.exists() else default_store(root, height, width)
    return get_dataset(read_manifest(folder).dataset) if is_store(folder) else detect(root)


def verify_store(folder: Path, listing: Listing | None, listener: Listener) -> StoredImages:
    """Compare every byte of a store with its checksums, and the store with the listing of its source.

    Raises:
        DataError: there is no store, it was truncated or changed, or the source's images have changed.
    """
    if not is_store(folder):
        raise DataError(f"{folder}: no prepared store there; name one with --output, or prepare it first")
    store = StoredImages(folder)
    require_whole(folder, read_manifest(folder), large=True)
    store.check(range(len(store.samples)), listener)
    if listing:
        _require_same_source(folder, store, listing)
    return store


def _open_store(folder: Path, config: DataConfig) -> StoredImages:
    store = StoredImages(folder)
    if config.dataset not in (AUTO, store.dataset):
        raise DataError(
            f"{folder}: a store of the data set '{store.dataset}', but data.dataset is '{config.dataset}'; leave that out, or "
            "use --set data.dataset=auto"
        )
    if (store.height, store.width) != (config.height, config.width):
        raise DataError(
            f"{folder}: holds images of {store.height}×{store.width}, but the configuration says {config.height}×{config.width}: "
            f"prepare the data set at that size, or --set data.height={store.height} --set data.width={store.width}"
        )
    if store.has_deep_images and store.value_range != config.value_range:
        raise DataError(
            f"{folder}: was prepared with {KEY}={shown(store.value_range)}, but the configuration says "
            f"{shown(config.value_range)}: prepare the data set again, or --set {KEY}='{shown(store.value_range)}'"
        )
    return store


def _require_same_source(folder: Path, store: StoredImages, listing: Listing) -> None:
    if fingerprint(listing) != store.fingerprint:
        raise DataError(
            f"{folder}: prepared from other images than {listing.root} has now, or for another train/test split: remove it "
            "and prepare again, or use the store itself with --data"
        )


def _warn_of_unused_options(config: DataConfig, dataset: str, listing: Listing | None, listener: Listener) -> None:
    """Warn about data-set options that differ from their defaults but have no effect here."""
    for spec in DATASETS.values():
        keys = ", ".join(f"data.{key}" for key in spec.options.model_fields)
        if not keys or config.options_for(spec) == spec.options():
            continue
        if spec.name != dataset:
            listener.warn(f"{keys} have no effect: only the data set '{spec.name}' has them")
        elif listing is None:
            listener.warn(f"{keys} have no effect: the store keeps the split that it was prepared with")
