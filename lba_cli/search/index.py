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

from lba_cli.errors import SearchError, one_line
from lba_cli.manifest import MANIFEST, FileRecord, ManifestKind, sha256_of
from lba_cli.search.gallery import AGAIN, Gallery, IndexDescription
from lba_cli.vocabulary import VectorDtype

# The names of a generation's files, and of the files that a killed update may leave behind.
OURS = re.compile(r"(vectors|paths|faiss|added)-([0-9]{1,12})\.(npy|csv|index)")
ATTEMPTS = 3  # to read an index that another process is replacing


class IndexFile(FileRecord):
    """A file of an index: its name in the folder, size and SHA-256."""

    name: str = Field(pattern=rf"^{OURS.pattern}$")
    sha256: str

    @classmethod
    def of(cls, path: Path) -> IndexFile:
        """Return the record of a file that has just been written."""
        return cls(name=path.name, bytes=path.stat().st_size, sha256=sha256_of(path))


class Manifest(IndexDescription):
    """The manifest of an index: its properties and its files.

    Attributes:
        images: n, the number of images.
        dtype: the dtype of the vectors. In float16 they are rounded, and take half the space.
        vectors: a ``.npy`` file, (n, D) of unit length, in the order of the paths.
        paths: a ``.csv`` file with the header ``path`` and n absolute paths, sorted.
        faiss: the FAISS index, or None if the index was built without one.
    """

    images: int = Field(ge=1, le=2**40)
    dtype: VectorDtype = "float32"
    vectors: IndexFile
    paths: IndexFile
    faiss: IndexFile | None = None
    format: Literal["lba-index"] = "lba-index"
    version: Literal[1] = 1


KIND = ManifestKind(Manifest, noun="an index of a gallery", remedy=AGAIN, error=SearchError, most_bytes=2**16)


@dataclass(frozen=True)
class Index(Gallery):
    """An open index.

    Attributes:
        folder, manifest: the index's folder, and its manifest.
        paths: n absolute paths, sorted.
        vectors: (n, D) float32 or float16 in the order of ``paths``, memory-mapped.
    """

    folder: Path
    manifest: Manifest
    paths: list[str]
    vectors: NDArray[np.floating]

    @property
    def place(self) -> str:
        """The path of the index's folder."""
        return str(self.folder)

    @property
    def description(self) -> IndexDescription:
        """The manifest, which has the properties that all vectors share."""
        return self.manifest

    @property
    def images(self) -> int:
        """The number of images in the index."""
        return self.manifest.images

    def facts(self) -> dict[str, str]:
        """Return the sizes of the files, and the first and the last path. The index must have been opened ``fully``."""
        faiss = self.manifest.faiss
        return {
            "vectors": f"{self.manifest.vectors.bytes:,} bytes, {self.manifest.dtype}",
            "FAISS": f"{faiss.bytes:,} bytes" if faiss else "none",
            "first, last": f"{one_line(self.paths[0])}\n{one_line(self.paths[-1])}",
            "state": "intact: every byte is as it was written",
        }


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


def _map_vectors(folder: Path, manifest: Manifest) -> NDArray[np.floating]:
    path = folder / manifest.vectors.name
    try:
        vectors: NDArray[np.floating] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as problem:
        raise SearchError(f"{path}: damaged or truncated; {AGAIN}") from problem
    if vectors.dtype != np.dtype(manifest.dtype) or vectors.shape != (manifest.images, manifest.dimension):
        raise SearchError(f"{path}: damaged: {vectors.dtype} of shape {vectors.shape}; {AGAIN}")
    return vectors
