"""Images ready to use: a prepared store (memory-mapped), or the data set's folder read image by image.

A store is a folder: ``images.npy`` (rows × height × width × 3, uint8), ``samples.csv`` (a row's number, path,
identity, camera, modality and part), ``manifest.json``, and the official protocol's ``rand_perm_cam.mat``.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from lba_cli.data.images import BrokenImage, read_image
from lba_cli.data.samples import Listing, Sample, fingerprint
from lba_cli.errors import DataError
from lba_cli.vocabulary import MODALITIES, PARTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMAT = "lba-store"
VERSION = 1
MANIFEST, SAMPLES, IMAGES, PERMUTATIONS = "manifest.json", "samples.csv", "images.npy", "rand_perm_cam.mat"
COLUMNS = ("row", *(column.name for column in fields(Sample)))


class ImageSource(Protocol):
    """A data set whose images can be had at one size."""

    name: str
    height: int
    width: int
    samples: tuple[Sample, ...]
    permutations: Path | None
    fingerprint: str

    def read(self, indices: Sequence[int]) -> NDArray[np.uint8]:
        """The images of the samples at ``indices``: (n, height, width, 3) uint8."""


@dataclass(frozen=True)
class Manifest:
    """What a store says of itself."""

    dataset: str
    height: int
    width: int
    images: int
    source: str
    fingerprint: str
    skipped: tuple[dict[str, str], ...] = field(default=())
    format: str = FORMAT
    version: int = VERSION


class StoredImages:
    """A prepared store.

    Raises:
        DataError: the folder isn't a whole store of this version.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        manifest = read_manifest(folder)
        self.name, self.height, self.width = manifest.dataset, manifest.height, manifest.width
        self.fingerprint = manifest.fingerprint
        rows, samples = _read_samples(folder / SAMPLES)
        self._rows, self.samples = rows, samples
        shape = _open_pixels(folder).shape
        if len(samples) != manifest.images or shape[1:] != (self.height, self.width, 3):
            raise DataError(f"{folder}: {IMAGES} or {SAMPLES} doesn't fit {MANIFEST}; prepare it again")
        if len(rows) and not 0 <= rows.min() <= rows.max() < shape[0]:
            raise DataError(f"{folder / SAMPLES}: names rows that {IMAGES} doesn't have; prepare it again")
        permutations = folder / PERMUTATIONS
        self.permutations = permutations if permutations.is_file() else None

    def read(self, indices: Sequence[int]) -> NDArray[np.uint8]:
        """The images of the samples at ``indices``: (n, height, width, 3) uint8.

        The file is mapped for this call alone, so that the pages once read don't count as this process's memory.
        """
        return np.asarray(_open_pixels(self._folder)[self._rows[list(indices)]])


class FolderImages:
    """A data set's own folder; every image is decoded and resized when it is read."""

    def __init__(self, listing: Listing, height: int, width: int) -> None:
        self.name, self.samples, self.permutations = listing.name, listing.samples, listing.permutations
        self.height, self.width = height, width
        self.fingerprint = fingerprint(listing)
        self._root = listing.root

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
                    f"{self._root / self.samples[index].path}: not a readable image ({problem}); replace it, or leave out such images with "
                    "lba prepare … --skip-broken"
                ) from problem
        return images


def is_store(folder: Path) -> bool:
    """Whether ``folder`` looks like a prepared store."""
    return (folder / MANIFEST).is_file()


def default_store(root: Path, height: int, width: int) -> Path:
    """Where the data set at ``root`` is prepared to, and looked for, when no folder is named: beside it."""
    root = root.resolve() if root.name in ("", "..") else root
    return root.with_name(f"{root.name}-{height}x{width}")


def read_manifest(folder: Path) -> Manifest:
    """Read a store's manifest.

    Raises:
        DataError: it is damaged or of another version.
    """
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.get("format") != FORMAT or content.get("version") != VERSION:
            raise DataError(f"{path}: not a store that this version reads; prepare the data set again")
        return Manifest(**{**content, "skipped": tuple(content["skipped"])})
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as problem:
        raise DataError(f"{path}: damaged ({problem}); prepare the data set again") from problem


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write ``manifest`` into ``folder``."""
    (folder / MANIFEST).write_text(json.dumps(asdict(manifest), indent=2) + "\n", encoding="utf-8")


def write_samples(folder: Path, rows: Sequence[int], samples: Sequence[Sample]) -> None:
    """Write which row of ``images.npy`` shows which sample."""
    with (folder / SAMPLES).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for row, sample in zip(rows, samples, strict=True):
            writer.writerow([row, *(getattr(sample, column) for column in COLUMNS[1:])])


def _read_samples(path: Path) -> tuple[NDArray[np.int64], tuple[Sample, ...]]:
    rows, samples = [], []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for line in csv.DictReader(file):
                if line["modality"] not in MODALITIES or line["part"] not in PARTS:
                    raise ValueError(f"an unknown modality or part in row {line['row']}")
                rows.append(int(line["row"]))
                samples.append(
                    Sample(line["path"], int(line["identity"]), int(line["camera"]), line["modality"], line["part"])
                )
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as problem:
        raise DataError(f"{path}: damaged ({problem}); prepare the data set again") from problem
    return np.asarray(rows, np.int64), tuple(samples)


def _open_pixels(folder: Path) -> NDArray[np.uint8]:
    try:
        pixels: NDArray[np.uint8] = np.load(folder / IMAGES, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as problem:
        raise DataError(f"{folder / IMAGES}: damaged or cut short; prepare the data set again") from problem
    if pixels.dtype != np.uint8 or pixels.ndim != 4:
        raise DataError(f"{folder / IMAGES}: holds {pixels.dtype} of shape {pixels.shape}, not images; prepare again")
    return pixels
