"""The one record type of all data sets. Only readers parse file names; everything after them reads these."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lba_cli.errors import DataError
from lba_cli.vocabulary import Dataset, Modality, Part

NO_CAMERA = -1  # where nobody says which camera it was; 0 is a camera like others


@dataclass(frozen=True, slots=True)
class Sample:
    """One image.

    Attributes:
        path: relative to the data set's root, with forward slashes.
        identity: who, in the numbering of the data set and the part: train and test never share people.
        camera: by which camera, in the data set's own numbering; ``NO_CAMERA`` where that isn't known.
        modality: of that camera.
        part: whether it is trained on or tested with.
        split: the trial whose split this record belongs to, from 1; 0 where the data set has one split. An image of a
            data set with several has a record in each.
    """

    path: str
    identity: int
    camera: int
    modality: Modality
    part: Part
    split: int = 0


@dataclass(frozen=True)
class Listing:
    """A data set on disk.

    Attributes:
        name: as reports call it.
        root: the folder that sample paths start from.
        samples: in the order split, part, identity, camera, path.
        permutations: the file of the official protocol's draws, where the data set has one.
        notes: what a user should know of this copy, one line each.
        dataset: whose layout it has, which says by which protocol it is scored.
    """

    name: str
    root: Path
    samples: tuple[Sample, ...]
    permutations: Path | None = None
    notes: tuple[str, ...] = field(default=())
    dataset: Dataset = "sysu"

    @property
    def splits(self) -> int:
        """How many splits it has, one of which is trained and tested on at a time; 0: it has just one."""
        return max((sample.split for sample in self.samples), default=0)


def in_order(samples: Iterable[Sample]) -> tuple[Sample, ...]:
    """The samples in the order of a :class:`Listing`."""
    return tuple(sorted(samples, key=lambda s: (s.split, s.part != "train", s.identity, s.camera, s.path)))


def identity_classes(samples: Iterable[Sample]) -> dict[int, int]:
    """Class labels of the training identities: numbered from 0 in ascending order."""
    return {
        identity: label for label, identity in enumerate(sorted({s.identity for s in samples if s.part == "train"}))
    }


def select(samples: Sequence[Sample], part: Part, modality: Modality) -> list[int]:
    """Indices of the samples of one part and modality, in order."""
    return [index for index, s in enumerate(samples) if s.part == part and s.modality == modality]


def indices_of_split(samples: Sequence[Sample], split: int | None, name: str) -> list[int]:
    """Indices of the samples of one split, in order.

    Args:
        samples: of a whole data set.
        split: from 1; None where the data set has one split.
        name: of the data set, for messages.

    Raises:
        DataError: the data set has several splits and ``split`` is none of them, or one split and ``split`` isn't None.
    """
    splits = sorted({sample.split for sample in samples} - {0})
    if splits and split is None:
        raise DataError(
            f"data.trial is needed: {name} has {len(splits)} splits; --set data.trial={splits[0]}, or --trials all"
        )
    if split is not None and split not in splits:
        if not splits:
            raise DataError(f"{name} has one split: leave --trials all out, and data.trial={split}")
        raise DataError(f"data.trial={split}: {name} has the splits {splits[0]} to {splits[-1]}")
    return [index for index, sample in enumerate(samples) if sample.split == (split or 0)]


def fingerprint(listing: Listing) -> str:
    """A digest of which images a copy of a data set has: paths, sizes, identities, cameras, parts, splits, and the draws.

    Raises:
        FileNotFoundError: an image has vanished since it was listed.
    """
    digest = hashlib.sha256()
    size = {path: (listing.root / path).stat().st_size for path in {s.path for s in listing.samples}}
    for s in listing.samples:
        split = f"\t{s.split}" if s.split else ""
        digest.update(f"{s.path}\t{size[s.path]}\t{s.identity}\t{s.camera}\t{s.modality}\t{s.part}{split}\n".encode())
    if listing.permutations:
        digest.update(listing.permutations.read_bytes())
    return digest.hexdigest()
