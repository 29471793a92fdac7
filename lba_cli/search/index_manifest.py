"""What an index says of itself, and whether its files are as they were written."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lba_cli.errors import SearchError, quoted
from lba_cli.files import read_text, write_text
from lba_cli.vocabulary import LARGEST_SIDE, Modality

FORMAT: Literal["lba-index"] = "lba-index"
VERSION: Literal[1] = 1
MANIFEST = "manifest.json"
MOST_MANIFEST = 2**16
# The files of a generation, and what an update that was killed may leave.
OURS = re.compile(r"(vectors|paths|faiss|added)-([0-9]{1,12})\.(npy|csv|index)")
AGAIN = "build it anew with lba search build"


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class FileRecord(_Strict):
    """A file of an index: its name, size and SHA-256."""

    name: str = Field(pattern=rf"^{OURS.pattern}$")
    bytes: int = Field(ge=0)
    sha256: str


class Manifest(_Strict):
    """What an index says of itself.

    Attributes:
        model: the fingerprint of the model that embedded the gallery.
        origin: the file that the model came from.
        height, width: of the images, in pixels, as the model saw them.
        modality: of the gallery's images.
        dimension: D, the length of the vectors.
        images: n, how many there are.
        vectors: a ``.npy``, (n, D) float32 of unit length, in the order of the paths.
        paths: a ``.csv`` with the header ``path`` and n absolute paths, sorted.
        faiss: the approximate index, where it was asked for.
    """

    model: str
    origin: str
    height: int = Field(ge=1, le=LARGEST_SIDE)
    width: int = Field(ge=1, le=LARGEST_SIDE)
    modality: Modality
    dimension: int = Field(ge=1, le=65_536)
    images: int = Field(ge=1, le=2**40)
    vectors: FileRecord
    paths: FileRecord
    faiss: FileRecord | None = None
    format: Literal["lba-index"] = FORMAT
    version: Literal[1] = VERSION

    def files(self) -> list[FileRecord]:
        """Every file but the manifest."""
        return [self.vectors, self.paths, *([self.faiss] if self.faiss else [])]


def read_manifest(folder: Path) -> Manifest:
    """Read an index's manifest.

    Raises:
        SearchError: the folder isn't an index, or one of another version, or the manifest is damaged.
    """
    path = folder / MANIFEST
    if not path.exists():
        what = "not an index of a gallery" if folder.is_dir() else "no such index"
        raise SearchError(f"{folder}: {what}; make one with lba search build GALLERY --index {folder}")
    try:
        text = read_text(path, MOST_MANIFEST)
        content = json.loads(text)
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise SearchError(f"{folder}: {MANIFEST} is not that of an index of a gallery; name another folder")
        if content.get("version") != VERSION:
            version = quoted(content.get("version"), 20)
            raise SearchError(f"{folder}: an index of format version {version}, this lba reads {VERSION}; {AGAIN}")
        return Manifest.model_validate_json(text)
    except ValidationError as problem:
        first = problem.errors()[0]
        where = ".".join(map(str, first["loc"])) or "it"
        raise SearchError(f"{path}: damaged ({where:.80}: {first['msg']}); {AGAIN}") from problem
    except (OSError, ValueError, RecursionError) as problem:
        reason = getattr(problem, "strerror", None) or "not JSON"
        raise SearchError(f"{path}: damaged ({reason}); {AGAIN}") from problem


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write ``manifest`` into ``folder``, whole or not at all: with it a generation of files becomes the index."""
    write_text(folder / MANIFEST, manifest.model_dump_json(indent=2) + "\n")


def record(path: Path) -> FileRecord:
    """The record of a file that has just been written."""
    return FileRecord(name=path.name, bytes=path.stat().st_size, sha256=_sha256(path))


def require_whole(folder: Path, manifest: Manifest, *, fully: bool) -> None:
    """Hold the files against the manifest: their sizes, the paths' checksum, and all checksums if ``fully``.

    Raises:
        SearchError: a file is missing, cut short or changed.
    """
    for each in manifest.files():
        path = folder / each.name
        if not path.is_file():
            raise SearchError(f"{path}: missing; {AGAIN}")
        size = path.stat().st_size
        if size != each.bytes:
            raise SearchError(f"{path}: damaged: {size:,} bytes where {each.bytes:,} were written; {AGAIN}")
        if (fully or each is manifest.paths) and _sha256(path) != each.sha256:
            raise SearchError(f"{path}: damaged: changed since it was written; {AGAIN}")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
