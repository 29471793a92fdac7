"""The records that describe any data set. Readers make them from files and lists; all other code uses only the records."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lba_cli.errors import DataError
from lba_cli.value_range import FULL, ValueRange
from lba_cli.vocabulary import ALL_SPLITS, Modality, Split

NO_CAMERA = -1  # the camera is unknown; 0 is a camera like any other
DIGEST_LENGTH = (
    16  # of digests of files and names, in hexadecimal digits: among a million, two agree with probability 3e-8
)


@dataclass(frozen=True, slots=True)
class Sample:
    """One image.

    Attributes:
        path: relative to the data set's root, with forward slashes.
        identity: the person's number within the split; train and test never share people.
        camera: the camera's number in the data set; ``NO_CAMERA`` if it is unknown.
        modality: the camera's modality.
        split: whether the image is trained on (train), tested with (test), or only chooses a run's best epoch (val).
        trial: the trial that this record belongs to, from 1; 0 where the data set has only one. A data set with several
            trials has one record per image and trial.
        name: the person's name, where the user chose it; otherwise empty, and the number is the name.
    """

    path: str
    identity: int
    camera: int
    modality: Modality
    split: Split
    trial: int = 0
    name: str = ""

    @property
    def person(self) -> str:
        """The person's name, or the number if there is no name."""
        return self.name or str(self.identity)


@dataclass(frozen=True)
class Listing:
    """A data set on disk.

    Attributes:
        name, dataset: see :class:`EvaluationSet`.
        root: the folder that sample paths start from.
        samples: sorted by trial, split, identity, camera and path.
        permutations: the file with the fixed draws of the data set's release, if it has one.
        notes: what the user should know about this copy, one line each.
        value_range: how its images of more than 8 bits are read, see :mod:`lba_cli.value_range`.
    """

    name: str
    dataset: str
    root: Path
    samples: tuple[Sample, ...]
    permutations: Path | None = None
    notes: tuple[str, ...] = ()
    value_range: ValueRange = FULL


class EvaluationSet(Protocol):
    """The part of a data set that an evaluation needs; images or features come from elsewhere.

    Attributes:
        name: the data set's name in reports.
        dataset: the name of its :class:`~lba_cli.datasets.DatasetSpec`.
        trial: the trial that the samples belong to, from 1; 0 where the data set has only one.
        samples: one record per image.
        permutations: the file with the fixed draws of the data set's release, if it has one.
    """

    name: str
    dataset: str
    trial: int
    samples: tuple[Sample, ...]
    permutations: Path | None


def in_order(samples: Iterable[Sample]) -> tuple[Sample, ...]:
    """Sort samples by trial, split (train first, test last), identity, camera and path."""
    place = {split: number for number, split in enumerate(ALL_SPLITS)}
    return tuple(sorted(samples, key=lambda s: (s.trial, place[s.split], s.identity, s.camera, s.path)))


def identity_classes(samples: Iterable[Sample]) -> dict[int, int]:
    """Return the class label of every training identity: labels count from 0, in the order of the identities."""
    trained = {sample.identity for sample in samples if sample.split == "train"}
    return {identity: label for label, identity in enumerate(sorted(trained))}


def selected_on(samples: Iterable[Sample]) -> str:
    """Return the people whose mAP selects the best epoch: ``validation``, or ``test`` if there are no validation images."""
    return "validation" if any(sample.split == "val" for sample in samples) else "test"


def select(samples: Sequence[Sample], split: Split, modality: Modality) -> list[int]:
    """Return the indices of the samples of one split and modality, in order."""
    return [index for index, s in enumerate(samples) if s.split == split and s.modality == modality]


def indices_of_trial(samples: Sequence[Sample], trial: int | None, name: str) -> list[int]:
    """Return the indices of the samples of one trial of the data set ``name``, in order.

    Trials count from 1; ``trial`` is None where the data set has only one.

    Raises:
        DataError: the data set has several trials and ``trial`` is none of them, or it has one and ``trial`` is given.
    """
    trials = sorted({sample.trial for sample in samples} - {0})
    if trials and trial is None:
        raise DataError(
            f"{name} has {len(trials)} trials: choose one with --set data.trial={trials[0]}, or take all with --trials all "
            "(lba train and lba evaluate)"
        )
    if trial is not None and not trials:
        raise DataError(f"{name} has a single train/test split: leave out --trials all and data.trial={trial}")
    if trial is not None and trial not in trials:
        raise DataError(f"data.trial={trial}: {name} has the trials {trials[0]} to {trials[-1]}")
    return [index for index, sample in enumerate(samples) if sample.trial == (trial or 0)]


def fingerprint(listing: Listing) -> str:
    """Return a SHA-256 over the records of a data set, the sizes of its images, and its fixed draws."""
    digest = hashlib.sha256()
    size = {path: (listing.root / path).stat().st_size for path in {s.path for s in listing.samples}}
    for s in listing.samples:
        fields = (s.path, size[s.path], s.identity, s.camera, s.modality, s.split, s.trial)
        digest.update("\t".join(map(str, fields)).encode() + b"\n")
    if listing.permutations:
        digest.update(listing.permutations.read_bytes())
    return digest.hexdigest()
