"""The manifest of a prepared store, and the list of its samples.

A store is a folder with these files:

- ``images.npy``: the images, (rows, height, width, 3) uint8.
- ``samples.csv``: a line for each sample, with the number and CRC-32 of its image's row, the digest of the original file, and
  the sample's path, identity, camera, modality, split, trial and name. If a data set has several trials, each image is stored
  once and has a line for every trial that it is in. Each row has a checksum of its own, so that rows can be written and
  checked in parallel.
- ``rand_perm_cam.mat``: the permutations of SYSU-MM01's official protocol, if the data set has this file.
- ``manifest.json``: the size and SHA-256 of every other file. ``images.npy`` has no SHA-256.
"""

import csv
import hashlib
import io
import re
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

from pydantic import Field, field_validator

from lba_cli.data.samples import NO_CAMERA, Sample
from lba_cli.errors import DataError, is_resource_error
from lba_cli.files import MOST_TEXT, read_bytes
from lba_cli.manifest import DIGEST_LENGTH, MANIFEST, FileRecord, ManifestKind, StrictModel, sha256_of
from lba_cli.value_range import FULL, ValueRange
from lba_cli.vocabulary import ALL_SPLITS, MODALITIES

SAMPLES, IMAGES, PERMUTATIONS = "samples.csv", "images.npy", "rand_perm_cam.mat"
COLUMNS = ("row", "crc32", "file", *(column.name for column in fields(Sample)))
MOST_SAMPLES = 2**31


class Skipped(StrictModel):
    """An image that was left out, and the reason."""

    path: str
    reason: str


class Manifest(StrictModel):
    """The description of a store.

    Attributes:
        name, dataset: the data set's name in reports, and the name of its :class:`~lba_cli.datasets.DatasetSpec`.
        height, width, images: the images' size in pixels, and the number of images.
        source, fingerprint: the folder that the store was prepared from, and its :func:`lba_cli.data.samples.fingerprint`.
        skipped: images that couldn't be decoded.
        value_range: how pixels of more than 8 bits were converted to 8 bits.
        pixel_facts: the number of images with each of the facts that :mod:`lba_cli.data.pixel_values` counts.
        files: the records of all files except the manifest, by name. The record of ``images.npy`` has no checksum.
        checksum: the checksum of all other fields, see :meth:`digest`.
    """

    name: str = Field(max_length=200)
    dataset: str
    height: int
    width: int
    images: int
    source: str
    fingerprint: str
    skipped: tuple[Skipped, ...] = ()
    value_range: ValueRange = FULL
    pixel_facts: dict[str, int] = Field(default_factory=dict)
    files: dict[str, FileRecord] = Field(default_factory=dict)
    format: Literal["lba-store"] = "lba-store"
    version: Literal[5] = 5
    checksum: str = ""

    @field_validator("name")
    @classmethod
    def _on_one_line(cls, name: str) -> str:
        if not name.isprintable():
            raise ValueError("has characters that can't be printed")
        return name

    def digest(self) -> str:
        """Return the SHA-256 of all fields except ``checksum``."""
        return hashlib.sha256(self.model_dump_json(exclude={"checksum"}).encode()).hexdigest()


STORE = ManifestKind(
    content=Manifest,
    noun="a prepared store",
    remedy="remove the store and prepare the data set again",
    error=DataError,
    most_bytes=MOST_TEXT,
)


def read_manifest(folder: Path) -> Manifest:
    """Read a store's manifest; raises DataError if it is missing, damaged, changed or of another version."""
    manifest = STORE.read(folder)
    if manifest.checksum != manifest.digest():
        raise DataError(f"{folder / MANIFEST}: changed since it was written; {STORE.remedy}")
    return manifest


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write ``manifest`` into ``folder``, with records of the files that the folder contains now."""
    files = {
        path.name: FileRecord(bytes=path.stat().st_size, sha256=None if path.name == IMAGES else sha256_of(path))
        for path in sorted(folder.iterdir())
        if path.name != MANIFEST
    }
    content = manifest.model_copy(update={"files": files})
    content = content.model_copy(update={"checksum": content.digest()})
    (folder / MANIFEST).write_text(content.model_dump_json(indent=2) + "\n", encoding="utf-8")


def require_whole(folder: Path, manifest: Manifest, *, large: bool) -> None:
    """Raise a DataError if a file is missing, truncated or changed. Arrays are compared with checksums only if ``large``."""
    unlisted = {SAMPLES, IMAGES} - manifest.files.keys()
    if unlisted:
        raise DataError(f"{folder / MANIFEST}: damaged (it doesn't list {', '.join(sorted(unlisted))}); {STORE.remedy}")
    for name, record in manifest.files.items():
        path = folder / name
        if name != PurePosixPath(name).name:
            raise DataError(f"{folder / MANIFEST}: damaged (it lists a file of another folder); {STORE.remedy}")
        STORE.require_file(path, record, checksum=large or path.suffix != ".npy")


class StoredRow(NamedTuple):
    """The part of a line of ``samples.csv`` that describes a sample's image.

    Attributes:
        row: the image's row in ``images.npy``.
        crc32: the checksum of this row.
        file: :func:`lba_cli.manifest.file_digest` of the image's original file.
    """

    row: int
    crc32: int
    file: str


def write_samples(folder: Path, rows: Sequence[StoredRow], samples: Sequence[Sample]) -> None:
    """Write ``samples.csv`` into ``folder``; ``rows`` describe the images of ``samples``."""
    with (folder / SAMPLES).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for row, sample in zip(rows, samples, strict=True):
            writer.writerow([*row, *(getattr(sample, column.name) for column in fields(Sample))])


def read_samples(folder: Path) -> tuple[list[StoredRow], tuple[Sample, ...]]:
    """Read ``samples.csv`` in ``folder``. Return the description of each sample's image, and the samples.

    Raises:
        DataError: the file is missing or damaged.
    """
    path = folder / SAMPLES
    rows, samples = [], []
    try:
        text = read_bytes(path, MOST_SAMPLES).decode("utf-8")
        for line in csv.DictReader(io.StringIO(text, newline="")):
            if line["modality"] not in MODALITIES or line["split"] not in ALL_SPLITS:
                raise ValueError(f"an unknown modality or split in row {line['row']}")
            if None in line.values():
                raise ValueError(f"row {line['row']} is too short")
            if not re.fullmatch(f"[0-9a-f]{{{DIGEST_LENGTH}}}", line["file"]):
                raise ValueError(f"row {line['row']} has no digest of its file")
            rows.append(StoredRow(_number(line["row"]), _number(line["crc32"]), line["file"]))
            identity, camera, trial = (
                _number(line["identity"]),
                _number(line["camera"], NO_CAMERA),
                _number(line["trial"]),
            )
            samples.append(Sample(line["path"], identity, camera, line["modality"], line["split"], trial, line["name"]))
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as problem:
        if is_resource_error(problem):
            raise
        raise DataError(f"{path}: damaged ({problem!s:.120}); {STORE.remedy}") from problem
    return rows, tuple(samples)


def _number(text: str, least: int = 0) -> int:
    number = int(text)
    if not least <= number < 2**32:
        raise ValueError(f"{text:.20} is out of range")
    return number
