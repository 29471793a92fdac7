"""The images of a data set at one size: from a prepared, memory-mapped store, or decoded from the data set's folder."""

import hashlib
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from lba_cli.data.broken_images import BrokenImage
from lba_cli.data.image_files import decode_image, read_image
from lba_cli.data.parallel import cores
from lba_cli.data.pixel_values import DEEP, count_facts, warn_of_values
from lba_cli.data.samples import EvaluationSet, Listing, Sample, fingerprint, indices_of_trial, selected_on
from lba_cli.data.store_manifest import IMAGES, PERMUTATIONS, SAMPLES, read_manifest, read_samples, require_whole
from lba_cli.errors import DataError, is_resource_error
from lba_cli.manifest import MANIFEST, file_digest
from lba_cli.reporting import Listener, Silent
from lba_cli.value_range import ValueRange

IMAGES_PER_CHECK = 64
IMAGES_PER_LOOK = 100  # about how many images of a folder without a store are checked before use


class ImageSource(EvaluationSet):
    """The images of a data set, at one size. All trials are included; :meth:`of_trial` selects one trial.

    Attributes:
        root: the folder of the original images, which sample paths are relative to. It may be gone if the images are prepared.
        height, width: size of the images, in pixels.
        value_range: how pixels of more than 8 bits are converted to 8 bits, see :mod:`lba_cli.value_range`.
        fingerprint: a digest of the whole data set's records, including all trials, see
            :func:`~lba_cli.data.samples.fingerprint`.
    """

    trial = 0
    root: Path
    height: int
    width: int
    value_range: ValueRange
    samples: tuple[Sample, ...]
    fingerprint: str

    @property
    def content(self) -> str:
        """A digest of the prepared images; empty if the images aren't prepared, but decoded when they are read."""
        return ""

    def of_trial(self, trial: int | None) -> Self:
        """Return a copy with only the samples of one trial, chosen by :func:`~lba_cli.data.samples.indices_of_trial`."""
        chosen = indices_of_trial(self.samples, trial, self.name)
        view = copy(self)
        view.trial = trial or 0
        view._keep(chosen)
        return view

    def _keep(self, chosen: list[int]) -> None:
        self.samples = tuple(self.samples[index] for index in chosen)

    def read(self, indices: Sequence[int]) -> NDArray[np.uint8]:
        """Return the images of the samples at ``indices``, (n, height, width, 3) uint8. Raises DataError if an image is broken."""
        raise NotImplementedError

    def check(self, indices: Sequence[int], listener: Listener) -> None:
        """Raise a DataError if prepared images at ``indices`` have changed since their preparation.

        The listener is warned about nearly flat images and unused channels, see :mod:`lba_cli.data.pixel_values`.
        """

    def file_digests(self, indices: Sequence[int], listener: Listener) -> list[str]:
        """Return the :func:`~lba_cli.manifest.file_digest` of the original files of the samples at ``indices``."""
        raise NotImplementedError


class StoredImages(ImageSource):
    """The images of the prepared store in ``folder``; the attribute ``images`` is their number.

    Raises:
        DataError: the folder isn't a store, or the store is incomplete, damaged or of another format version.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        manifest = read_manifest(folder)
        require_whole(folder, manifest, large=False)
        self.name, self.dataset, self.root = manifest.name, manifest.dataset, Path(manifest.source)
        self.height, self.width = manifest.height, manifest.width
        self.images, self.fingerprint = manifest.images, manifest.fingerprint
        stored, self.samples = read_samples(folder)
        self._rows, self._checksums = (np.asarray([each[n] for each in stored], np.int64) for n in (0, 1))
        self._files = np.asarray([each.file for each in stored])
        self.value_range, self._pixel_facts, self._warned = manifest.value_range, manifest.pixel_facts, False
        self._identity = _identity(folder)
        shape = _open_pixels(folder).shape
        if len(np.unique(self._rows)) != manifest.images or shape[1:] != (self.height, self.width, 3):
            raise DataError(f"{folder}: {IMAGES} or {SAMPLES} doesn't match {MANIFEST}; prepare the data set again")
        if len(stored) and not 0 <= self._rows.min() <= self._rows.max() < shape[0]:
            raise DataError(f"{folder / SAMPLES}: lists rows that {IMAGES} lacks; prepare the data set again")
        permutations = folder / PERMUTATIONS
        self.permutations = permutations if permutations.is_file() else None

    @property
    def has_deep_images(self) -> bool:
        """Whether images had more than 8 bits, so that ``value_range`` matters."""
        return bool(self._pixel_facts.get(DEEP))

    def _keep(self, chosen: list[int]) -> None:
        super()._keep(chosen)
        self._rows, self._checksums, self._files = (each[chosen] for each in (self._rows, self._checksums, self._files))

    def read(self, indices: Sequence[int]) -> NDArray[np.uint8]:
        """Return images from the store, see :meth:`ImageSource.read`.

        Each call maps the file into memory again, because the pages of a lasting map would count as memory of this process.

        Raises:
            DataError: the file of images was replaced or changed while the store was in use.
        """
        if _identity(self._folder) != self._identity:
            raise DataError(f"{self._folder / IMAGES}: replaced or changed while it was in use; restore the store")
        return np.asarray(_open_pixels(self._folder)[self._rows[list(indices)]])

    @property
    def content(self) -> str:
        """A digest of the images' checksums."""
        return hashlib.sha256(self._checksums.tobytes()).hexdigest()

    def file_digests(self, indices: Sequence[int], listener: Listener) -> list[str]:
        """Return the digests from the preparation, see :meth:`ImageSource.file_digests`."""
        return [str(digest) for digest in self._files[list(indices)]]

    def check(self, indices: Sequence[int], listener: Listener) -> None:
        """Compare the images at ``indices`` with their checksums, see :meth:`ImageSource.check`."""
        if not (self._warned or type(listener) is Silent):
            self._warned = True
            warn_of_values(listener, self._pixel_facts, self.images, self.value_range, f"{self._folder}: ")
        requested = np.asarray(indices, np.int64)
        indices = requested[np.unique(self._rows[requested], return_index=True)[1]].tolist()  # each image once
        chunks = [indices[start : start + IMAGES_PER_CHECK] for start in range(0, len(indices), IMAGES_PER_CHECK)]
        changed: list[int] = []
        with (
            listener.task("checking the store", len(indices), "images") as progress,
            ThreadPoolExecutor(cores()) as threads,
        ):
            for chunk, found in zip(chunks, threads.map(self._changed, chunks), strict=True):
                changed += found
                progress.advance(len(chunk))
        if changed:
            paths = [self.samples[index].path for index in changed]
            more = f" and {len(paths) - 10} more" if len(paths) > 10 else ""
            raise DataError(
                f"{self._folder / IMAGES}: {len(paths)} of {len(indices)} images changed since they were prepared "
                f"({', '.join(paths[:10])}{more}); remove the store and prepare it again"
            )

    def _changed(self, indices: Sequence[int]) -> list[int]:
        """Return the ``indices`` of the images that don't match their checksums."""
        pixels = _open_pixels(self._folder)
        return [index for index in indices if zlib.crc32(pixels[self._rows[index]].data) != self._checksums[index]]


class FolderImages(ImageSource):
    """The images of a data set's own folder. Each image is decoded and resized when it is read."""

    def __init__(self, listing: Listing, height: int, width: int) -> None:
        self.name, self.dataset = listing.name, listing.dataset
        self.samples, self.permutations = listing.samples, listing.permutations
        self.height, self.width, self.value_range = height, width, listing.value_range
        self.fingerprint = fingerprint(listing)
        self.root, self._looked_at = listing.root, False
        self._digests: dict[str, str] = {}  # by path

    def read(self, indices: Sequence[int]) -> NDArray[np.uint8]:
        """Decode images, see :meth:`ImageSource.read`."""
        images = np.empty((len(indices), self.height, self.width, 3), np.uint8)
        for row, index in enumerate(indices):
            try:
                images[row] = read_image(self._path(index), self.height, self.width, self.value_range)
            except BrokenImage as problem:
                raise DataError(
                    f"{self._path(index)}: not a readable image: {problem}. Replace it, or leave such images out with "
                    "lba prepare … --skip-broken"
                ) from problem
        return images

    def file_digests(self, indices: Sequence[int], listener: Listener) -> list[str]:
        """Return the digests of the files, which are read only once. Raises DataError if a file can't be read."""
        paths = [self.samples[index].path for index in indices]
        new = [path for path in dict.fromkeys(paths) if path not in self._digests]
        with listener.task("reading the files", len(new), "images") as progress, ThreadPoolExecutor(cores()) as threads:
            try:
                for path, digest in zip(new, threads.map(lambda path: file_digest(self.root / path), new), strict=True):
                    self._digests[path] = digest
                    progress.advance()
            except OSError as problem:
                if is_resource_error(problem):
                    raise
                raise DataError(f"{problem.filename}: {problem.strerror}") from problem
        return [self._digests[path] for path in paths]

    def check(self, indices: Sequence[int], listener: Listener) -> None:
        """Decode some of the images, in the first call only, and warn about nearly flat images and unused channels.

        Images that can't be read are ignored here; :meth:`read` reports them.
        """
        if self._looked_at or type(listener) is Silent:
            return
        self._looked_at = True
        facts = []
        for index in indices[:: max(1, len(indices) // IMAGES_PER_LOOK)]:
            with suppress(BrokenImage):
                facts.append(decode_image(self._path(index), self.height, self.width, self.value_range).facts)
        some = " (only some of the images were checked)" if len(facts) < len(indices) else ""
        warn_of_values(listener, count_facts(facts), len(facts), self.value_range, f"{self.root}{some}: ")

    def _path(self, index: int) -> Path:
        return self.root / self.samples[index].path


def selection_set(source: ImageSource) -> ImageSource:
    """Return the data set whose mAP selects a run's best epoch.

    This is a copy of ``source`` with the validation people as its test people. If ``source`` has no validation people, it is
    ``source`` itself, as is usual in the field.
    """
    if selected_on(source.samples) == "test":
        return source
    view = copy(source)
    view.name = f"{source.name} (validation)"
    view._keep([index for index, sample in enumerate(source.samples) if sample.split == "val"])
    view.samples = tuple(replace(sample, split="test") for sample in view.samples)
    return view


def is_store(folder: Path) -> bool:
    """Return whether ``folder`` looks like a prepared store."""
    return (folder / MANIFEST).is_file()


def default_store(root: Path, height: int, width: int) -> Path:
    """Return the default path of the store of the data set at ``root``: beside it, with the image size in its name."""
    root = root.resolve() if root.name in ("", "..") else root
    return root.with_name(f"{root.name}-{height}x{width}")


def _identity(folder: Path) -> tuple[int, int, int, int]:
    """Return the device, inode, size and time of the last change of a store's file of images, which identify the file."""
    stat = (folder / IMAGES).stat()
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns


def _open_pixels(folder: Path) -> NDArray[np.uint8]:
    try:
        pixels: NDArray[np.uint8] = np.lib.format.open_memmap(folder / IMAGES, mode="r")
    except Exception as problem:  # NumPy raises errors of many types for damaged headers
        if is_resource_error(problem):
            raise
        raise DataError(f"{folder / IMAGES}: damaged or truncated; prepare the data set again") from problem
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or not pixels.flags.c_contiguous:
        raise DataError(
            f"{folder / IMAGES}: holds {pixels.dtype} of shape {pixels.shape}, not images; prepare it again"
        )
    return pixels
