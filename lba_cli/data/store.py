"""Images ready to use: a prepared store (memory-mapped), or the data set's folder read image by image."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np

from lba_cli.data.image_files import BrokenImage, read_image
from lba_cli.data.parallel import cores
from lba_cli.data.samples import Listing, Sample, fingerprint, indices_of_trial
from lba_cli.data.store_manifest import (
    IMAGES,
    PERMUTATIONS,
    SAMPLES,
    read_manifest,
    read_samples,
    require_whole,
)
from lba_cli.errors import DataError, is_resource_error
from lba_cli.manifest import MANIFEST
from lba_cli.reporting import Listener

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHECKED_AT_ONCE = 64


class ImageSource(Protocol):
    """A data set whose images can be had at one size.

    Attributes:
        name: as reports call it.
        dataset: its reader, which says by which protocol it is scored.
        trial: the trial that the samples belong to, from 1; 0 where the data set has only one.
        height, width: of the images, in pixels.
        samples: one record an image.
        permutations: the file of the official protocol's draws, where the data set has one.
        fingerprint: of the whole data set, all its splits.
        content: of the images themselves, where they are prepared; empty where each is read from its file.
    """

    name: str
    dataset: str
    trial: int
    height: int
    width: int
    samples: tuple[Sample, ...]
    permutations: Path | None
    fingerprint: str

    @property
    def content(self) -> str:
        """A digest of the images."""

    def read(self, indices: Sequence[int]) -> NDArray[np.uint8]:
        """The images of the samples at ``indices``: (n, height, width, 3) uint8."""

    def check(self, indices: Sequence[int], listener: Listener) -> None:
        """Make sure, before the work, that the images at ``indices`` are as they were prepared.

        Raises:
            DataError: naming those that aren't.
        """


class StoredImages:
    """A prepared store: the records of all its splits, until one is chosen by :meth:`of_trial`.

    Raises:
        DataError: the folder isn't a whole store of this version.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        manifest = read_manifest(folder)
        require_whole(folder, manifest, large=False)
        self.name, self.dataset, self.trial = manifest.dataset, manifest.reader, 0
        self.height, self.width = manifest.height, manifest.width
        self.images, self.fingerprint = manifest.images, manifest.fingerprint
        rows, checksums, self.samples = read_samples(folder)
        self._rows, self._checksums = np.asarray(rows, np.int64), np.asarray(checksums, np.int64)
        self._identity = _identity(folder)
        shape = _open_pixels(folder).shape
        if len(set(rows)) != manifest.images or shape[1:] != (self.height, self.width, 3):
            raise DataError(f"{folder}: {IMAGES} or {SAMPLES} doesn't fit {MANIFEST}; prepare it again")
        if len(rows) and not 0 <= self._rows.min() <= self._rows.max() < shape[0]:
            raise DataError(f"{folder / SAMPLES}: names rows that {IMAGES} doesn't have; prepare it again")
        permutations = folder / PERMUTATIONS
        self.permutations = permutations if permutations.is_file() else None

    def of_trial(self, trial: int | None) -> Self:
        """The same with the samples of one split; raises as :func:`~lba_cli.data.samples.indices_of_trial`."""
        chosen = indices_of_trial(self.samples, trial, self.name)
        view = copy(self)
        view.trial, view.samples = trial or 0, tuple(self.samples[index] for index in chosen)
        view._rows, view._checksums = self._rows[chosen], self._checksums[chosen]
        return view

    def read(self, indices: Sequence[int]) -> NDArray[np.uint8]:
        """The images of the samples at ``indices``: (n, height, width, 3) uint8.

        The file is mapped for this call alone, so that the pages once read don't count as this process's memory.
        """
        if _identity(self._folder) != self._identity:
            raise DataError(f"{self._folder / IMAGES}: replaced or changed while it was in use; put the store back")
        return np.asarray(_open_pixels(self._folder)[self._rows[list(indices)]])

    @property
    def content(self) -> str:
        """A digest of the images' checksums."""
        return hashlib.sha256(self._checksums.tobytes()).hexdigest()

    def check(self, indices: Sequence[int], listener: Listener) -> None:
        """Compare the images at ``indices`` with their checksums, each once; raises as :meth:`ImageSource.check`."""
        asked = np.asarray(indices, np.int64)
        indices = asked[np.unique(self._rows[asked], return_index=True)[1]].tolist()
        pieces = [indices[start : start + CHECKED_AT_ONCE] for start in range(0, len(indices), CHECKED_AT_ONCE)]
        changed: list[int] = []
        with (
            listener.task("checking the store", len(indices), "images") as progress,
            ThreadPoolExecutor(cores()) as threads,
        ):
            for piece, found in zip(pieces, threads.map(self._changed, pieces), strict=True):
                changed += found
                progress.advance(len(piece))
        if changed:
            paths = [self.samples[index].path for index in changed]
            more = f" and {len(paths) - 10} more" if len(paths) > 10 else ""
            raise DataError(
                f"{self._folder / IMAGES}: {len(paths)} of {len(indices)} images changed since they were prepared "
                f"({', '.join(paths[:10])}{more}); remove the store and prepare it again"
            )

    def _changed(self, indices: Sequence[int]) -> list[int]:
        """Which of the images at ``indices`` don't have their checksum."""
        pixels = _open_pixels(self._folder)
        return [index for index in indices if zlib.crc32(pixels[self._rows[index]].data) != self._checksums[index]]


class FolderImages:
    """A data set's own folder; every image is decoded and resized when it is read.

    It has the records of all splits, until one is chosen by :meth:`of_trial`.
    """

    def __init__(self, listing: Listing, height: int, width: int) -> None:
        self.name, self.dataset, self.trial = listing.name, listing.dataset, 0
        self.samples, self.permutations = listing.samples, listing.permutations
        self.height, self.width = height, width
        self.fingerprint, self.content = fingerprint(listing), ""
        self._root = listing.root

    def of_trial(self, trial: int | None) -> Self:
        """The same with the samples of one split; raises as :func:`~lba_cli.data.samples.indices_of_trial`."""
        chosen = indices_of_trial(self.samples, trial, self.name)
        view = copy(self)
        view.trial, view.samples = trial or 0, tuple(self.samples[index] for index in chosen)
        return view

    def read(self, indices: Sequence[int]) -> NDArray[np.uint8]:
        """The images of the samples at ``indices``: (n, height, width, 3) uint8.

        Raises:
            DataError: an image can't be decoded.
        """
        images = np.empty((len(indices), self.height, self.width, 3), np.uint8)
        for row, index in enumerate(indices):
            try:
                images[row] = read_image(self._root / self.samples[index].path, self.height, self.width)
            except BrokenImage as problem:
                raise DataError(
                    f"{self._root / self.samples[index].path}: not a readable image ({problem}); replace it, or leave out "
                    "such images with lba prepare … --skip-broken"
                ) from problem
        return images

    def check(self, indices: Sequence[int], listener: Listener) -> None:
        """Nothing was prepared, so there is nothing to compare with; damage is told when an image is read."""


def is_store(folder: Path) -> bool:
    """Whether ``folder`` looks like a prepared store."""
    return (folder / MANIFEST).is_file()


def default_store(root: Path, height: int, width: int) -> Path:
    """Where the data set at ``root`` is prepared to, and looked for, when no folder is named: beside it."""
    root = root.resolve() if root.name in ("", "..") else root
    return root.with_name(f"{root.name}-{height}x{width}")


def _identity(folder: Path) -> tuple[int, int, int, int]:
    """Which file the images are in, and when it was changed last."""
    stat = (folder / IMAGES).stat()
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns


def _open_pixels(folder: Path) -> NDArray[np.uint8]:
    try:
        pixels: NDArray[np.uint8] = np.lib.format.open_memmap(folder / IMAGES, mode="r")
    except Exception as problem:  # NumPy raises many kinds for damaged headers
        if is_resource_error(problem):
            raise
        raise DataError(f"{folder / IMAGES}: damaged or cut short; prepare the data set again") from problem
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or not pixels.flags.c_contiguous:
        raise DataError(f"{folder / IMAGES}: holds {pixels.dtype} of shape {pixels.shape}, not images; prepare again")
    return pixels
