"""The one record type of all data sets. Only readers parse file names; everything after them reads these."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lba_cli.vocabulary import Modality, Part


@dataclass(frozen=True, slots=True)
class Sample:
    """One image.

    Attributes:
        path: relative to the data set's root, with forward slashes.
        identity: who, in the data set's own numbering.
        camera: by which camera, in the data set's own numbering.
        modality: of that camera.
        part: whether it is trained on or tested with.
    """

    path: str
    identity: int
    camera: int
    modality: Modality
    part: Part


@dataclass(frozen=True)
class Listing:
    """A data set on disk.

    Attributes:
        name: as reports call it.
        root: the folder that sample paths start from.
        samples: in the order part, identity, camera, path.
        permutations: the file of the official protocol's draws, where the data set has one.
        notes: what a user should know of this copy, one line each.
    """

    name: str
    root: Path
    samples: tuple[Sample, ...]
    permutations: Path | None = None
    notes: tuple[str, ...] = field(default=())


def identity_classes(samples: Iterable[Sample]) -> dict[int, int]:
    """Class labels of the training identities: numbered from 0 in ascending order."""
    return {
        identity: label for label, identity in enumerate(sorted({s.identity for s in samples if s.part == "train"}))
    }


def select(samples: Sequence[Sample], part: Part, modality: Modality) -> list[int]:
    """Indices of the samples of one part and modality, in order."""
    return [index for index, s in enumerate(samples) if s.part == part and s.modality == modality]


def fingerprint(listing: Listing) -> str:
    """A digest of which images a copy of a data set has: their paths, sizes, identities and parts, and the draws.

    Raises:
        FileNotFoundError: an image has vanished since it was listed.
    """
    digest = hashlib.sha256()
    for s in listing.samples:
        size = (listing.root / s.path).stat().st_size
        digest.update(f"{s.path}\t{size}\t{s.identity}\t{s.camera}\t{s.modality}\t{s.part}\n".encode())
    if listing.permutations:
        digest.update(listing.permutations.read_bytes())
    return digest.hexdigest()
