"""An index of a gallery: a folder with the vectors, the paths in the same order, and a manifest."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from lba_cli.errors import SearchError
from lba_cli.manifest import MANIFEST, FileRecord, ManifestKind, StrictModel, sha256_of
from lba_cli.search.embedder import Embedder
from lba_cli.search.image_paths import absolute_path
from lba_cli.search.thresholds import Thresholds
from lba_cli.value_range import FULL, ValueRange
from lba_cli.vocabulary import LARGEST_SIDE, Modality

# The names of a generation's files, and of the files that a killed update may leave behind.
OURS = re.compile(r"(vectors|paths|faiss|added)-([0-9]{1,12})\.(npy|csv|index)")
AGAIN = "rebuild it with lba search build"
ATTEMPTS = 3  # to read an index that another process is replacing


class IndexFile(FileRecord):
    """A file of an index: its name in the folder, size and SHA-256."""

    name: str = Field(pattern=rf"^{OURS.pattern}$")
    sha256: str

    @classmethod
    def of(cls, path: Path) -> IndexFile:
        """Return the record of a file that has just been written."""
        return cls(name=path.name, bytes=path.stat().st_size, sha256=sha256_of(path))


class IndexDescription(StrictModel):
    """The properties that all vectors of an index share.

    Attributes:
        model: the fingerprint of the model that embedded the gallery.
        origin: the file that the model came from.
        height, width: the size of the model's input images, in pixels.
        modality: the modality of the images.
        dimension: D, the length of the vectors.
        value_range: how images of more than 8 bits were read, see :mod:`lba_cli.value_range`.
        thresholds: the scores for rates of false accepts, see :mod:`lba_cli.search.thresholds`; empty if unknown.
    """

    model: str
    origin: str
    height: int = Field(ge=1, le=LARGEST_SIDE)
    width: int = Field(ge=1, le=LARGEST_SIDE)
    modality: Modality
    dimension: int = Field(ge=1, le=65_536)
    value_range: ValueRange = FULL
    thresholds: Thresholds = Field(default_factory=dict)

    @classmethod
    def from_embedder(
        cls, embedder: Embedder, modality: Modality, thresholds: Thresholds | None = None
    ) -> IndexDescription:
        """Describe an index of vectors that ``embedder`` makes from images of ``modality``."""
        return cls(
            model=embedder.fingerprint,
            origin=absolute_path(embedder.origin),
            height=embedder.height,
            width=embedder.width,
            modality=modality,
            dimension=embedder.dimension,
            value_range=embedder.value_range,
            thresholds=thresholds or {},
        )


class Manifest(IndexDescription):
    """The manifest of an index: its properties and its files.

    Attributes:
        images: n, the number of images.
        vectors: a ``.npy`` file, (n, D) float32 of unit length, in the order of the paths.
        paths: a ``.csv`` file with the header ``path`` and n absolute paths, sorted.
        faiss: the FAISS index, or None if the index was built without one.
    """

    images: int = Field(ge=1, le=2**40)
    vectors: IndexFile
    paths: IndexFile
    faiss: IndexFile | None = None
    format: Literal["lba-index"] = "lba-index"
    version: Literal[1] = 1


KIND = ManifestKind(Manifest, noun="an index of a gallery", remedy=AGAIN, error=SearchError, most_bytes=2**16)


@dataclass(frozen=True)
class Index:
    """An open index.

    Attributes:
        folder, manifest: the index's folder, and its manifest.
        paths: n absolute paths, sorted.
        vectors: (n, D) float32 in the order of ``paths``, memory-mapped.
    """

    folder: Path
    manifest: Manifest
    paths: list[str]
    vectors: NDArray[np.float32]

    def require_model(self, embedder: Embedder) -> None:
        """Raise a SearchError that names both models if the index was built with another model."""
        made = self.manifest
        if made.model != embedder.fingerprint:
            raise SearchError(
                f"{self.folder}: built with the model {made.origin} (weights {made.model:.12}), not with {embedder.origin} "
                f"(weights {embedder.fingerprint:.12}): use the model that built it, or rebuild the index"
            )
        if (made.dimension, made.height, made.width) != (embedder.dimension, embedder.height, embedder.width):
            raise SearchError(
                f"{self.folder}: holds {made.dimension}-dimensional vectors of {made.height}×{made.width} images, but "
                f"{embedder.origin} makes {embedder.dimension}-dimensional ones of {embedder.height}×{embedder.width}; "
                f"{AGAIN}"
            )

    def require_modality(self, modality: Modality) -> None:
        """Raise a SearchError if the gallery holds images of the other modality."""
        if self.manifest.modality != modality:
            raise SearchError(
                f"{self.folder}: holds {self.manifest.modality} images; build another index for {modality} images"
            )


def open_index(folder: Path, *, fully: bool = False) -> Index:
    """Open an index. Check the sizes of its files, and the checksum of the paths or, if ``fully``, of all files.

    Raises:
        SearchError: there is no index, or it is damaged or of another format version.
    """
    for attempt in range(ATTEMPTS):
        manifest = _read_manifest(folder)
        try:
            for each in filter(None, (manifest.vectors, manifest.paths, manifest.faiss)):
                KIND.require_file(folder / each.name, each, checksum=fully or each is manifest.paths)
            return Index(folder, manifest, _read_paths(folder, manifest), _map_vectors(folder, manifest))
        except (SearchError, OSError):
            if attempt == ATTEMPTS - 1 or _read_manifest(folder) == manifest:
                raise
    raise AssertionError


def _read_manifest(folder: Path) -> Manifest:
    if not (folder / MANIFEST).exists():
        what = "not an index of a gallery" if folder.is_dir() else "no such index"
        raise SearchError(f"{folder}: {what}; make one with lba search build GALLERY --index {folder}")
    return KIND.read(folder)


def _read_paths(folder: Path, manifest: Manifest) -> list[str]:
    path = folder / manifest.paths.name
    with path.open(encoding="utf-8", newline="") as file:
        try:
            header, *lines = csv.reader(file)
            paths = [name for (name,) in lines]
        except (ValueError, csv.Error) as problem:
            raise SearchError(f"{path}: damaged ({problem!s:.80}); {AGAIN}") from problem
    if header != ["path"] or len(paths) != manifest.images:
        raise SearchError(f"{path}: damaged: not the paths of {manifest.images:,} images; {AGAIN}")
    return paths


def _map_vectors(folder: Path, manifest: Manifest) -> NDArray[np.float32]:
    path = folder / manifest.vectors.name
    try:
        vectors: NDArray[np.float32] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as problem:
        raise SearchError(f"{path}: damaged or truncated; {AGAIN}") from problem
    if vectors.dtype != np.float32 or vectors.shape != (manifest.images, manifest.dimension):
        raise SearchError(f"{path}: damaged: {vectors.dtype} of shape {vectors.shape}; {AGAIN}")
    return vectors
