"""Records of the people that networks were trained on. A checkpoint also has the records of earlier models."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lba_cli.manifest import DIGEST_LENGTH

# Larger records keep only the smallest digests of each person, so that a checkpoint's pickle stays far below its limit.
MOST_DIGESTS = 200_000
MAX_NAME_LENGTH = 200


@dataclass(frozen=True)
class TrainingRecord:
    """The people that a network was trained on, without their names.

    Attributes:
        dataset: the name of the data set in reports; empty if it isn't known.
        trial: the data set's trial, from 1; 0 for data sets without trials.
        people: for data sets whose split the user draws, the digest of each training identity's name with the digests of its
            images' files, one after another; empty for data sets with a fixed split; None if they aren't known.
    """

    dataset: str = ""
    trial: int = 0
    people: dict[str, str] | None = None

    def is_valid(self) -> bool:
        """Return whether untrusted values have the right types; may also raise TypeError or AttributeError."""
        return (
            self.dataset.isprintable()
            and len(self.dataset) < MAX_NAME_LENGTH
            and type(self.trial) is int
            and (self.people is None or all(map(_is_person, self.people.items())))
        )


def name_digest(name: str) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of a person's name."""
    return hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()[:DIGEST_LENGTH]


def pack(images: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """Return :attr:`TrainingRecord.people` for ``images``, which maps the digests of people's names to digests of images."""
    found = {name: sorted(set(digests)) for name, digests in sorted(images.items())}
    most = None
    if sum(map(len, found.values())) > MOST_DIGESTS:
        most = max(1, MOST_DIGESTS // len(found))
    return {name: "".join(digests[:most]) for name, digests in found.items()}


def unpack(records: Iterable[TrainingRecord]) -> dict[str, set[str]]:
    """Return a dictionary that maps the digests of people's names in the records to the digests of their images."""
    images: dict[str, set[str]] = {}
    for record in records:
        for name, digests in (record.people or {}).items():
            pieces = (digests[start : start + DIGEST_LENGTH] for start in range(0, len(digests), DIGEST_LENGTH))
            images.setdefault(name, set()).update(pieces)
    return images


def joined(records: Iterable[TrainingRecord]) -> tuple[TrainingRecord, ...]:
    """Merge records of the same data set and trial, so that their number doesn't grow with each fine-tuned model in a chain."""
    groups: dict[tuple[str, int, bool], list[TrainingRecord]] = {}
    for record in records:
        groups.setdefault((record.dataset, record.trial, record.people is None), []).append(record)
    return tuple(
        TrainingRecord(dataset, trial, None if unknown else pack(unpack(group)))
        for (dataset, trial, unknown), group in groups.items()
    )


def _is_person(item: tuple[object, object]) -> bool:
    name, digests = item
    if not (isinstance(name, str) and isinstance(digests, str) and len(digests) % DIGEST_LENGTH == 0):
        return False
    return len(name) == DIGEST_LENGTH and re.fullmatch("[0-9a-f]*", name + digests) is not None
