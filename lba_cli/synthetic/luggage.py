"""Bags as solids."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from lba_cli.synthetic.body import SIDE_NAMES, SIDES, Point, Skeleton, Solid, limb, loft
from lba_cli.synthetic.people import Person

_OVER_THE_UPPER = 0.40
_DOWN = np.array([0.0, -1.0, 0.0])


def luggage(person: Person, bones: Skeleton) -> Iterator[Solid]:
    """Yield the solids of the person's bag and of its visible straps; nothing for a person without a bag."""
    if person.bag.kind == "backpack":
        yield from _backpack(person, bones)
    elif person.bag.kind == "shoulder bag":
        yield from _shoulder_bag(person, bones)
    elif person.bag.kind == "handbag":
        yield _handbag(person, bones)


def _backpack(person: Person, bones: Skeleton) -> Iterator[Solid]:
    bag, build = person.bag, person.build
    size = bag.size
    top = bones.neck + np.array([0.0, -0.04, -build.depth - 0.10 * size])
    wide, deep = 0.155 * size, 0.10 * size
    rings = [(0.0, 0.55 * wide, 0.5 * deep), (0.05, 0.92 * wide, deep), (0.15, wide, deep)]
    rings += [(0.36 * size, wide, deep), (0.42 * size, 0.8 * wide, 0.7 * deep)]
    yield loft("backpack", top, top + 0.4 * _DOWN, rings, bag.surface, _OVER_THE_UPPER)
    if np.cos(bones.pose.yaw) > 0.3:
        for side in SIDES:
            chest = np.array([0.0, 0.045, 0.9 * build.depth + person.upper.loose])
            start = bones.shoulder[side] * np.array([0.62, 1.0, 1.0]) + chest
            end = start + np.array([side * 0.02, -0.30, 0.0])
            yield _strap(f"{SIDE_NAMES[side]} strap", person, start, end, 0.022)


def _shoulder_bag(person: Person, bones: Skeleton) -> Iterator[Solid]:
    bag, build = person.bag, person.build
    facing = 1.0 if np.cos(bones.pose.yaw) >= 0 else -1.0
    front = np.array([0.0, 0.0, facing * (build.depth + person.upper.loose)])
    start = bones.shoulder[-bag.side] * np.array([0.7, 1, 1]) + np.array([0.0, 0.04, 0.0]) + front
    hip = np.array([bag.side * (build.hips + 0.055), bones.hip_height + 0.02, 0.0])
    side_seen = "in front" if facing > 0 else "behind"
    yield _strap(f"strap {side_seen}", person, start, hip + 0.9 * front, 0.020)
    wide, deep = 0.075 * bag.size, 0.155 * bag.size
    rings = [
        (0.0, wide, 0.9 * deep),
        (0.03, wide, deep),
        (0.20 * bag.size, wide, deep),
        (0.23 * bag.size, wide, 0.9 * deep),
    ]
    yield loft("shoulder bag", hip + 0.03 * _DOWN, hip + _DOWN, rings, bag.surface, _OVER_THE_UPPER + 0.03)


def _handbag(person: Person, bones: Skeleton) -> Solid:
    bag = person.bag
    hand = bones.wrist[bag.side] + 0.2 * (bones.wrist[bag.side] - bones.elbow[bag.side])
    wide, deep = 0.07 * bag.size, 0.165 * bag.size
    rings = [(0.0, 0.01, 0.02), (0.05, 0.012, 0.06), (0.07, wide, 0.9 * deep), (0.29 * bag.size, wide, deep)]
    return loft("handbag", hand, hand + _DOWN, rings, bag.surface, _OVER_THE_UPPER + 0.03)


def _strap(part: str, person: Person, start: Point, end: Point, radius: float) -> Solid:
    return limb(part, start, end, (radius, radius), replace(person.bag.surface, pattern="plain"), _OVER_THE_UPPER - 0.1)
