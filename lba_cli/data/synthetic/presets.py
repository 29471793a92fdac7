"""How large a synthetic data set is: which identities, how many images of each, and of what size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lba_cli.data.inventory import CAMERAS, InventoryEntry, Split, sysu_inventory
from lba_cli.data.synthetic.rendering import Frame

_TINY: dict[Split, tuple[int, ...]] = {
    "train": (2, 3, 5, 8, 9, 13, 14, 20, 23),
    "val": (6, 17, 24),
    "test": (4, 7, 11, 16, 22, 27),
}
_TINY_ABSENT = {3: (2, 6), 9: (1,), 14: (5,), 20: (3,), 17: (4, 2), 7: (2,), 16: (4, 5), 22: (6,), 27: (3,)}


@dataclass(frozen=True)
class Preset:
    """One size of data set; ``entries`` gives its inventory, identities in ascending order."""

    name: str
    frame: Frame
    entries: Callable[[], tuple[InventoryEntry, ...]]


def tiny_entries() -> tuple[InventoryEntry, ...]:
    """18 identities with gaps between their numbers, 3 to 5 images a camera, some cameras missing.

    Every test identity is under camera 1, so that every infrared query has a match in either search.
    """
    split_of = {identity: split for split, identities in _TINY.items() for identity in identities}
    return tuple(
        InventoryEntry(
            identity,
            split_of[identity],
            {
                camera: 0 if camera in _TINY_ABSENT.get(identity, ()) else 3 + (identity + 2 * camera) % 3
                for camera in CAMERAS
            },
        )
        for identity in sorted(split_of)
    )


def small_entries() -> tuple[InventoryEntry, ...]:
    """64 training, 16 validation and 32 test identities, 5 to 7 images a camera, all cameras."""
    identities = [number for number in range(1, 120) if number % 17]
    order = np.random.default_rng(0).permutation(len(identities))
    splits: dict[int, Split] = {
        identities[place]: "train" if rank < 64 else "val" if rank < 80 else "test" for rank, place in enumerate(order)
    }
    return tuple(
        InventoryEntry(number, splits[number], {camera: 5 + (number + 2 * camera) % 3 for camera in CAMERAS})
        for number in identities
    )


PRESETS = {
    preset.name: preset
    for preset in (
        Preset("tiny", Frame((44, 52), (92, 100), 2), tiny_entries),
        Preset("small", Frame((66, 78), (138, 150), 2), small_entries),
        Preset("sysu", Frame((110, 140), (280, 330), 2), sysu_inventory),
    )
}
