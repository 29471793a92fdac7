"""What a prepared store says of itself, and whether its files are what it says.

A store is a folder: ``images.npy`` (rows × height × width × 3, uint8), ``samples.csv`` (a row's number and CRC-32, path,
identity, camera, modality, part and split), the official protocol's ``rand_perm_cam.mat``, and ``manifest.json`` with the size
and SHA-256 of every other file. A data set with several splits has each image once, and a line of ``samples.csv`` for every
split that it is in. ``samples.csv`` vouches for the images row by row, so that rows are written and checked in
parallel.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from lba_cli.data.samples import NO_CAMERA, Sample
from lba_cli.errors import DataError, is_of_the_machine
from lba_cli.files import read_bytes, read_text
from lba_cli.vocabulary import MODALITIES, SPLITS

FORMAT: Literal["lba-store"] = "lba-store"
VERSION: Literal[4] = 4
MANIFEST, SAMPLES, IMAGES, PERMUTATIONS = "manifest.json", "samples.csv", "images.npy", "rand_perm_cam.mat"
COLUMNS = ("row", "crc32", *(column.name for column in fields(Sample)))
MOST_SAMPLES = 2**31


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Skipped(_Strict):
    """An image that was left out, and why."""

    path: str
    reason: str


class FileRecord(_Strict):
    """A file's size, and its SHA-256; None for ``images.npy``, whose rows have checksums of their own."""

    bytes: int
    sha256: str | None


class Manifest(_Strict):
    """What a store says of itself.

    Attributes:
        dataset: the data set's name.
        reader: of the data set, which says by which protocol it is scored.
        height, width: of the images, in pixels.
        images: how many it holds.
        source: the folder that it was prepared from.
        fingerprint: of the source's listing, see :func:`lba_cli.data.samples.fingerprint`.
        skipped: images that couldn't be decoded.
        files: every file of the store but the manifest.
        checksum: of all this, see :meth:`digest`.
    """

    dataset: str = Field(max_length=200)
    reader: str
    height: int
    width: int
    images: int
    source: str
    fingerprint: str
    skipped: tuple[Skipped, ...] = ()
    files: dict[str, FileRecord] = {}
    format: Literal["lba-store"] = FORMAT
    version: Literal[4] = VERSION
    checksum: str = ""

    @field_validator("dataset")
    @classmethod
    def _on_one_line(cls, name: str) -> str:
        if not name.isprintable():
            raise ValueError("has characters that can't be printed")
        return name

    def digest(self) -> str:
        """The SHA-256 of everything but ``checksum``."""
        return hashlib.sha256(self.model_dump_json(exclude={"checksum"}).encode()).hexdigest()


def read_manifest(folder: Path) -> Manifest:
    """Read a store's manifest.

    Raises:
        DataError: it is missing, damaged or of another version.
    """
    path = folder / MANIFEST
    try:
        text = read_text(path)
        content = json.loads(text)
        if isinstance(content, dict) and content.get("format") == FORMAT and content.get("version") != VERSION:
            raise DataError(
                f"{folder}: a store of format version {content.get('version')!r:.40}, this lba reads version {VERSION}: "
                "remove it and prepare the data set again"
            )
        manifest = Manifest.model_validate_json(text)
    except ValidationError as problem:
        first = problem.errors()[0]
        where = ".".join(map(str, first["loc"])) or "it"
        raise DataError(
            f"{path}: damaged ({where:.80}: {first['msg']}); remove the store and prepare it again"
        ) from problem
    except (OSError, ValueError, RecursionError) as problem:
        if is_of_the_machine(problem):
            raise
        reason = getattr(problem, "strerror", None) or "not JSON"
        raise DataError(f"{path}: damaged ({reason}); remove the store and prepare it again") from problem
    if manifest.checksum != manifest.digest():
        raise DataError(f"{path}: changed since it was written; remove the store and prepare it again")
    return manifest


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write ``manifest`` into ``folder``, with the records of the files that are there now."""
    files = {path.name: _record(path) for path in sorted(folder.iterdir()) if path.name != MANIFEST}
    content = manifest.model_copy(update={"files": files})
    content = content.model_copy(update={"checksum": content.digest()})
    (folder / MANIFEST).write_text(content.model_dump_json(indent=2) + "\n", encoding="utf-8")


def require_whole(folder: Path, manifest: Manifest, *, large: bool) -> None:
    """Hold the files' sizes and checksums against the manifest; those of the large arrays only if ``large``.

    Raises:
        DataError: a file is missing, cut short or changed.
    """
    needed = {SAMPLES, IMAGES} - manifest.files.keys()
    if needed:
        raise DataError(f"{folder / MANIFEST}: damaged (it doesn't list {', '.join(sorted(needed))}); prepare it again")
    for name, record in manifest.files.items():
        path = folder / name
        if name != PurePosixPath(name).name or not path.is_file():
            raise DataError(f"{path}: missing; remove the store and prepare it again")
        if path.stat().st_size != record.bytes:
            raise DataError(
                f"{path}: {path.stat().st_size:,} bytes where {record.bytes:,} were written; remove the store and prepare "
                "it again"
            )
        if record.sha256 and (large or path.suffix != ".npy") and _sha256(path) != record.sha256:
            raise DataError(f"{path}: changed since it was written; remove the store and prepare it again")


def write_samples(folder: Path, rows: Sequence[int], checksums: Sequence[int], samples: Sequence[Sample]) -> None:
    """Write which row of ``images.npy`` shows which sample, and the row's checksum."""
    with (folder / SAMPLES).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for row, checksum, sample in zip(rows, checksums, samples, strict=True):
            writer.writerow([row, checksum, *(getattr(sample, column) for column in COLUMNS[2:])])


def read_samples(folder: Path) -> tuple[list[int], list[int], tuple[Sample, ...]]:
    """Read ``samples.csv``: rows, their checksums, and samples.

    Raises:
        DataError: it is damaged.
    """
    path = folder / SAMPLES
    rows, checksums, samples = [], [], []
    try:
        text = read_bytes(path, MOST_SAMPLES).decode("utf-8")
        for line in csv.DictReader(io.StringIO(text, newline="")):
            if line["modality"] not in MODALITIES or line["split"] not in SPLITS:
                raise ValueError(f"an unknown modality or split in row {line['row']}")
            rows.append(_number(line["row"]))
            checksums.append(_number(line["crc32"]))
            samples.append(
                Sample(
                    line["path"],
                    _number(line["identity"]),
                    _number(line["camera"], NO_CAMERA),
                    line["modality"],
                    line["split"],
                    _number(line["trial"]),
                )
            )
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as problem:
        if is_of_the_machine(problem):
            raise
        raise DataError(f"{path}: damaged ({problem!s:.120}); remove the store and prepare it again") from problem
    return rows, checksums, tuple(samples)


def _number(text: str, least: int = 0) -> int:
    number = int(text)
    if not least <= number < 2**32:
        raise ValueError(f"{text:.20} is out of range")
    return number


def _record(path: Path) -> FileRecord:
    return FileRecord(bytes=path.stat().st_size, sha256=None if path.name == IMAGES else _sha256(path))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
