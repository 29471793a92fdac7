"""Open a data set at one image size, from its prepared store if there is one, otherwise from its folder."""

import glob
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from lba_cli.data.samples import Listing, fingerprint
from lba_cli.data.store import FolderImages, ImageSource, StoredImages, default_store, is_store
from lba_cli.data.store_manifest import read_manifest, require_whole
from lba_cli.datasets import AUTO, DATASETS, DatasetOptions, DatasetSpec, find_spec, get_dataset
from lba_cli.errors import DataError
from lba_cli.reporting import Listener
from lba_cli.value_range import KEY, ValueRange, shown
from lba_cli.vocabulary import plural


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
        """How pixels of more than 8 bits are converted to 8 bits."""

    @property
    def trial(self) -> int | None:
        """The trial to use, for a data set that has several."""

    def options_for(self, spec: DatasetSpec) -> DatasetOptions:
        """Return the options that only the data set ``spec`` has."""


def open_data(config: DataConfig, listener: Listener) -> ImageSource:
    """Open the data set that a configuration names.

    ``config.root`` is a prepared store or a data set's folder. A store that was prepared beside the folder is preferred.
    ``listener`` receives a line that says which data are used, and warnings about them.

    Raises:
        DataError: there is no data set, it has another layout, it doesn't have the configured trial, or its store has images of
            another size or was prepared from other images.
        ConfigError: no data set has the configured name.
    """
    root = Path(config.root)
    folder = root if is_store(root) else default_store(root, config.height, config.width)
    store_alone = is_store(root) or (is_store(folder) and not root.exists())
    listing = None
    if not store_alone:
        spec = spec_of(config)
        listing = replace(spec.read(root, config.options_for(spec)), value_range=config.value_range)
    source: FolderImages | StoredImages
    if listing and not is_store(folder):
        for note in listing.notes:
            listener.warn(f"{root}: {note}")
        source = FolderImages(listing, config.height, config.width).of_trial(config.trial)
        place = f"{root}; images are resized each time they are read (lba prepare {listing.dataset} resizes them once)"
        if other := next(filter(is_store, sorted(root.parent.glob(f"{glob.escape(root.name)}-*x*"))), None):
            place += f", because the store {other} has another size than {config.height}×{config.width}"
    else:
        store = _open_store(folder, config)
        if listing:
            _require_same_source(folder, store, listing)
        source = store.of_trial(config.trial)
        place = f"the store {folder}"
    warn_of_unused_options(config, source.dataset, listener, only_stored=listing is None)
    for note in get_dataset(source.dataset).sample_notes(source.samples):
        listener.warn(note)
    title = f"{source.name}, trial {source.trial}," if source.trial else source.name
    listener.say(f"data: {title} from {place}")
    return source


def spec_of(config: DataConfig) -> DatasetSpec:
    """Return the data set that a configuration names.

    For ``auto``, return the data set whose options say where the images are, or else the data set that the root looks like.

    Raises the errors of :func:`~lba_cli.datasets.find_spec`.
    """
    described = _described_by(config) if config.dataset == AUTO else None
    return described or find_spec(Path(config.root), config.dataset)


def dataset_at(config: DataConfig, otherwise: DataConfig) -> DatasetSpec:
    """Return the data set at ``config.root``, which is a folder or a store.

    For a folder, see :func:`spec_of`. If that doesn't recognise an existing folder, return the data set whose options in
    ``otherwise`` say where the images are.

    Raises the errors of :func:`~lba_cli.datasets.find_spec`.
    """
    root = Path(config.root)
    folder = root if is_store(root) or root.exists() else default_store(root, config.height, config.width)
    if is_store(folder):
        return get_dataset(read_manifest(folder).dataset)
    try:
        return spec_of(config)
    except DataError:
        if root.is_dir() and (described := _described_by(otherwise)):
            return described
        raise


def _described_by(config: DataConfig) -> DatasetSpec | None:
    return next((spec for spec in DATASETS.values() if config.options_for(spec).locate_images()), None)


def verify_store(folder: Path, listing: Listing | None, listener: Listener) -> StoredImages:
    """Compare every byte of a store with its checksums, and the store with ``listing``, unless it is None. Return the store.

    Raises:
        DataError: there is no store, it was truncated or changed, or the original images have changed.
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
            f"{folder}: holds the data set '{store.dataset}', but data.dataset is '{config.dataset}'; leave data.dataset out, "
            "or use --set data.dataset=auto"
        )
    if (store.height, store.width) != (config.height, config.width):
        raise DataError(
            f"{folder}: holds images of {store.height}×{store.width}, but the configuration says {config.height}×{config.width}: "
            f"prepare the data set at that size, or use --set data.height={store.height} --set data.width={store.width}"
        )
    if store.has_deep_images and store.value_range != config.value_range:
        raise DataError(
            f"{folder}: was prepared with {KEY}={shown(store.value_range)}, but the configuration says "
            f"{shown(config.value_range)}: prepare the data set again, or use --set {KEY}='{shown(store.value_range)}'"
        )
    return store


def _require_same_source(folder: Path, store: StoredImages, listing: Listing) -> None:
    if fingerprint(listing) != store.fingerprint:
        raise DataError(
            f"{folder}: was prepared from other images than {listing.root} has now, or for another train/test split: remove "
            "the store and prepare it again, or use the store unchanged with --data"
        )


def warn_of_unused_options(config: DataConfig, dataset: str, listener: Listener, *, only_stored: bool = False) -> None:
    """Warn about keys in the section ``data`` that have no effect on the data set ``dataset``.

    Options of other data sets never have an effect. The data set's own options have no effect if there is only a store
    (``only_stored``), because its split is fixed. Of these, only options that differ from their defaults cause a warning.
    """
    own = DATASETS[dataset]
    for spec in DATASETS.values():
        given = config.options_for(spec).model_fields_set - own.options.model_fields.keys()
        if given:
            keys = ", ".join(f"data.{key}" for key in sorted(given))
            owned = f"has {own.keys}" if own.keys else "has no keys of its own"
            has, them = plural(len(given), "has", "have"), plural(len(given), "this key", "these keys")
            listener.warn(f"{keys} {has} no effect: only the data set '{spec.name}' has {them}; '{dataset}' {owned}")
    if config.trial is not None and not own.trials:
        listener.warn(f"data.trial has no effect: '{dataset}' has a single train/test split")
    options, usual = config.options_for(own), own.options()
    changed = [f"data.{key}" for key in own.options.model_fields if getattr(options, key) != getattr(usual, key)]
    if only_stored and changed:
        has = plural(len(changed), "has", "have")
        listener.warn(
            f"{', '.join(changed)} {has} no effect: the store keeps the images and the split that it was prepared with"
        )
