"""How many images every identity of SYSU-MM01 has under every camera, and which split it belongs to."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal, cast

Split = Literal["train", "val", "test", "unused"]
CAMERAS = (1, 2, 3, 4, 5, 6)


@dataclass(frozen=True)
class InventoryEntry:
    """One identity of the complete data set; ``images`` maps camera (1…6) to its number of images."""

    identity: int
    split: Split
    images: dict[int, int]


@cache
def sysu_inventory() -> tuple[InventoryEntry, ...]:
    """The complete SYSU-MM01, identities in ascending order (``unused`` ones are in no split)."""
    with (files("lba_cli.data") / "sysu_inventory.csv").open(encoding="utf-8") as lines:
        return tuple(
            InventoryEntry(
                int(row["id"]), cast(Split, row["split"]), {camera: int(row[f"cam{camera}"]) for camera in CAMERAS}
            )
            for row in csv.DictReader(lines)
        )


@dataclass(frozen=True)
class Shortfall:
    """What a copy lacks under one camera (or has too much of, where ``found`` exceeds ``expected``)."""

    camera: int
    expected: int
    found: int
    identities: tuple[int, ...]


def compare_with_inventory(counts: dict[tuple[int, int], int]) -> list[Shortfall]:
    """Hold a copy's images, counted by (identity, camera), against the complete data set; what is right isn't listed.

    Identities that are in no split aren't looked at.
    """
    shortfalls = []
    entries = [entry for entry in sysu_inventory() if entry.split != "unused"]
    for camera in CAMERAS:
        differing = [e for e in entries if counts.get((e.identity, camera), 0) != e.images[camera]]
        if differing:
            found = sum(counts.get((e.identity, camera), 0) for e in entries)
            expected = sum(e.images[camera] for e in entries)
            shortfalls.append(Shortfall(camera, expected, found, tuple(e.identity for e in differing)))
    return shortfalls
