"""How many images every identity of SYSU-MM01 has under every camera, and which split it belongs to."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

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
    with (files("lba_cli.data") / "sysu_inventory.csv").open(encoding="utf-8", newline="") as lines:
        return tuple(
            InventoryEntry(int(row["id"]), row["split"], {camera: int(row[f"cam{camera}"]) for camera in CAMERAS})  # type: ignore[arg-type]
            for row in csv.DictReader(lines)
        )
