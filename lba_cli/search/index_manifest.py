"""The manifest of a gallery's index."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import Field

from lba_cli.errors import SearchError
from lba_cli.files import write_text
from lba_cli.manifest import MANIFEST, FileRecord, ManifestKind, StrictModel, sha256_of
from lba_cli.vocabulary import LARGEST_SIDE, Modality

# The files of a generation, and what an update that was killed may leave.
OURS = re.compile(r"(vectors|paths|faiss|added)-([0-9]{1,12})\.(npy|csv|index)")
AGAIN = "build it anew with lba search build"


class IndexFile(FileRecord):
    """A file of an index: its name in the folder, size and SHA-256."""

    name: str = Field(pattern=rf"^{OURS.pattern}$")
    sha256: str


class Manifest(StrictModel):
    """What an index holds.

    Attributes:
        model: the fingerprint of the model that embedded the gallery.
        origin: the file that the model came from.
        height, width: the size in pixels at which the model saw the images.
        modality: the modality of the gallery's images.
        dimension: D, the length of the vectors.
        images: n, the number of images.
        vectors: a ``.npy`` file, (n, D) float32 of unit length, in the order of the paths.
        paths: a ``.csv`` file with the header ``path`` and n absolute paths, sorted.
        faiss: the approximate index, if one was asked for.
    """

    model: str
    origin: str
    height: int = Field(ge=1, le=LARGEST_SIDE)
    width: int = Field(ge=1, le=LARGEST_SIDE)
    modality: Modality
    dimension: int = Field(ge=1, le=65_536)
    images: int = Field(ge=1, le=2**40)
    vectors: IndexFile
    paths: IndexFile
    faiss: IndexFile | None = None
    format: Literal["lba-index"] = "lba-index"
    version: Literal[1] = 1

    def files(self) -> list[IndexFile]:
        """Every file but the manifest."""
        return [self.vectors, self.paths, *([self.faiss] if self.faiss else [])]


INDEX = ManifestKind(
    content=Manifest,
    noun="an index of a gallery",
    remedy=AGAIN,
    error=SearchError,
    most_bytes=2**16,
)


def read_manifest(folder: Path) -> Manifest:
    """Read an index's manifest.

    Raises:
        SearchError: the folder isn't an index, or one of another version, or the manifest is damaged.
    """
    if not (folder / MANIFEST).exists():
        what = "not an index of a gallery" if folder.is_dir() else "no such index"
        raise SearchError(f"{folder}: {what}; make one with lba search build GALLERY --index {folder}")
    return INDEX.read(folder)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write ``manifest`` into ``folder``, whole or not at all; the generation of files that it lists is then the index."""
    write_text(folder / MANIFEST, manifest.model_dump_json(indent=2) + "\n")


def record(path: Path) -> IndexFile:
    """The record of a file that has just been written."""
    return IndexFile(name=path.name, bytes=path.stat().st_size, sha256=sha256_of(path))


def require_whole(folder: Path, manifest: Manifest, *, fully: bool) -> None:
    """Compare the files with the manifest: their sizes, the paths' checksum, and all checksums if ``fully``.

    Raises:
        SearchError: a file is missing, cut short or changed.
    """
    for each in manifest.files():
        INDEX.require_file(folder / each.name, each, checksum=fully or each is manifest.paths)
