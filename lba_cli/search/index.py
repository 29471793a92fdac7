"""An index of a gallery: a folder with the vectors, the paths in the same order, and a manifest."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lba_cli.errors import SearchError
from lba_cli.search.embedder import Embedder
from lba_cli.search.image_paths import absolute_path
from lba_cli.search.index_manifest import AGAIN, Manifest, read_manifest, require_whole
from lba_cli.vocabulary import Modality

ATTEMPTS = 3  # at reading an index that another process is replacing


@dataclass(frozen=True)
class IndexDescription:
    """What all the vectors of an index have in common; see :class:`~lba_cli.search.index_manifest.Manifest`."""

    model: str
    origin: str
    height: int
    width: int
    modality: Modality
    dimension: int
    faiss: bool = False

    @classmethod
    def from_embedder(cls, embedder: Embedder, modality: Modality, *, faiss: bool = False) -> IndexDescription:
        """Describe an index of vectors that ``embedder`` makes from images of ``modality``."""
        origin = absolute_path(embedder.origin)
        size = (embedder.height, embedder.width)
        return cls(embedder.fingerprint, origin, *size, modality, embedder.dimension, faiss)


@dataclass(frozen=True)
class Index:
    """An open index.

    Attributes:
        folder: where it lies.
        manifest: its manifest.
        paths: n absolute paths, sorted.
        vectors: (n, D) float32 in the order of ``paths``, mapped from the disk.
    """

    folder: Path
    manifest: Manifest
    paths: list[str]
    vectors: NDArray[np.float32]

    @property
    def description(self) -> IndexDescription:
        """What its vectors have in common."""
        made = self.manifest
        size = (made.height, made.width)
        return IndexDescription(made.model, made.origin, *size, made.modality, made.dimension, made.faiss is not None)

    def require_model(self, embedder: Embedder) -> None:
        """Refuse a model whose vectors can't be compared with the gallery's.

        Raises:
            SearchError: another model made the index; the message names it.
        """
        made = self.manifest
        if made.model != embedder.fingerprint:
            raise SearchError(
                f"{self.folder}: built with another model ({made.origin}, weights {made.model:.12}) than "
                f"{embedder.origin} (weights {embedder.fingerprint:.12}): name that model, or build the index anew"
            )
        if (made.dimension, made.height, made.width) != (embedder.dimension, embedder.height, embedder.width):
            raise SearchError(
                f"{self.folder}: has vectors of {made.dimension} numbers from images of {made.height}×{made.width}, "
                f"{embedder.origin} makes {embedder.dimension} from {embedder.height}×{embedder.width}; {AGAIN}"
            )

    def require_modality(self, modality: Modality) -> None:
        """Refuse to add images of ``modality`` to a gallery of the other one.

        Raises:
            SearchError: the gallery holds images of the other modality.
        """
        if self.manifest.modality != modality:
            raise SearchError(
                f"{self.folder}: holds {self.manifest.modality} images; {modality} ones need an index of their own"
            )


def open_index(folder: Path, *, fully: bool = False) -> Index:
    """Open an index.

    Args:
        folder: where it lies.
        fully: compare every file with its checksum, not only sizes and paths.

    Raises:
        SearchError: there is no index, or it is damaged or of another format version.
    """
    for attempt in range(ATTEMPTS):
        manifest = read_manifest(folder)
        try:
            require_whole(folder, manifest, fully=fully)
            return Index(folder, manifest, _read_paths(folder, manifest), _map_vectors(folder, manifest))
        except (SearchError, OSError):
            if attempt == ATTEMPTS - 1 or read_manifest(folder) == manifest:
                raise
    raise AssertionError


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
        raise SearchError(f"{path}: damaged or cut short; {AGAIN}") from problem
    if vectors.dtype != np.float32 or vectors.shape != (manifest.images, manifest.dimension):
        raise SearchError(f"{path}: damaged: {vectors.dtype} of shape {vectors.shape}; {AGAIN}")
    return vectors
