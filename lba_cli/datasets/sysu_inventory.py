"""The number of images of every identity of SYSU-MM01 under every camera, and smaller inventories for synthetic people."""

import csv
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal, cast

import numpy as np

from lba_cli.data.samples import Sample
from lba_cli.datasets.spec import Shortfall

Group = Literal["train", "val", "test", "unused"]
CAMERAS = (1, 2, 3, 4, 5, 6)
_TINY: dict[Group, tuple[int, ...]] = {
    "train": (2, 3, 5, 8, 9, 13, 14, 20, 23),
    "val": (6, 17, 24),
    "test": (4, 7, 11, 16, 22, 27),
}
_TINY_ABSENT = {3: (2, 6), 9: (1,), 14: (5,), 20: (3,), 17: (4, 2), 7: (2,), 16: (4, 5), 22: (6,), 27: (3,)}


@dataclass(frozen=True)
class InventoryEntry:
    """One identity, the list that names it (``unused`` if no list does), and its number of images under each camera."""

    identity: int
    group: Group
    images: dict[int, int]


@cache
def sysu_inventory() -> tuple[InventoryEntry, ...]:
    """Return the identities of the complete SYSU-MM01, in ascending order."""
    with (files("lba_cli.datasets") / "sysu_inventory.csv").open(encoding="utf-8") as lines:
        return tuple(
            InventoryEntry(
                int(row["id"]), cast(Group, row["split"]), {camera: int(row[f"cam{camera}"]) for camera in CAMERAS}
            )
            for row in csv.DictReader(lines)
        )


def entries_of_size(size: str) -> tuple[InventoryEntry, ...]:
    """Return the identities of synthetic presets of a size, in ascending order; ``sysu`` has the real data set's counts."""
    if size == "sysu":
        return sysu_inventory()
    return {"tiny": _tiny_entries, "demo": _demo_entries, "small": _small_entries}[size]()


def _tiny_entries() -> tuple[InventoryEntry, ...]:
    """Return 18 identities with gaps between their numbers.

    An identity has 3 to 5 images under a camera, or none under a few cameras. Every test identity has images under camera 1, so
    that every infrared query has a match in both modes.
    """
    entries = []
    for identity, group in sorted((identity, group) for group, identities in _TINY.items() for identity in identities):
        images = {camera: 3 + (identity + 2 * camera) % 3 for camera in CAMERAS}
        images |= dict.fromkeys(_TINY_ABSENT.get(identity, ()), 0)
        entries.append(InventoryEntry(identity, group, images))
    return tuple(entries)


def _demo_entries() -> tuple[InventoryEntry, ...]:
    """Return 40 training, 8 validation and 24 test identities, with 2 to 4 images under every camera."""
    return _shuffled_entries(numbers=77, train=40, validation=8, fewest_images=2)


def _small_entries() -> tuple[InventoryEntry, ...]:
    """Return 64 training, 16 validation and 32 test identities, with 5 to 7 images under every camera."""
    return _shuffled_entries(numbers=120, train=64, validation=16, fewest_images=5)


def _shuffled_entries(*, numbers: int, train: int, validation: int, fewest_images: int) -> tuple[InventoryEntry, ...]:
    """Return identities from 1 to below ``numbers``, with gaps, in shuffled groups; what isn't for training or validation is for testing."""
    identities = [number for number in range(1, numbers) if number % 17]
    order = np.random.default_rng(0).permutation(len(identities))
    groups: dict[int, Group] = {
        identities[place]: "train" if rank < train else "val" if rank < train + validation else "test"
        for rank, place in enumerate(order)
    }
    return tuple(
        InventoryEntry(number, groups[number], {c: fewest_images + (number + 2 * c) % 3 for c in CAMERAS})
        for number in identities
    )


def compare_with_inventory(samples: Iterable[Sample]) -> list[Shortfall]:
    """Return a shortfall for each camera whose numbers of images differ from the complete data set.

    Identities that are in none of the data set's lists are ignored.
    """
    counts = Counter((sample.identity, sample.camera) for sample in samples)
    entries = [entry for entry in sysu_inventory() if entry.group != "unused"]
    shortfalls = []
    for camera in CAMERAS:
        differing = tuple(e.identity for e in entries if counts[e.identity, camera] != e.images[camera])
        if differing:
            found = sum(counts[e.identity, camera] for e in entries)
            expected = sum(e.images[camera] for e in entries)
            shortfalls.append(Shortfall(camera, expected, found, differing))
    return shortfalls
