"""Head, hair and hat as solids."""

from collections.abc import Iterator

import numpy as np

from lba_cli.synthetic.body import Point, Skeleton, Solid, loft
from lba_cli.synthetic.people import Person
from lba_cli.synthetic.wardrobe import Surface

# Metres added to a solid's nearness to the camera. Neck and trunk hide solids with _BEHIND.
_BEHIND, _NECK, _HEAD, _HAIR, _HAT = 0.30, 0.35, 0.50, 0.52, 0.56
_UP = np.array([0.0, 1.0, 0.0])


def head(person: Person, bones: Skeleton) -> Iterator[Solid]:
    """Yield the solids of neck, head, hair and hat."""
    size = person.build.stature / 1.7
    middle = bones.crown - 0.13 * size * _UP
    yield loft(
        "neck",
        bones.neck,
        bones.neck + _UP,
        [(-0.02, 0.055 * size, 0.05), (0.09, 0.05 * size, 0.05)],
        person.skin,
        _NECK,
    )
    yield _ball("head", middle, (0.080 * size, 0.135 * size, 0.098 * size), person.skin, _HEAD)
    yield from _hair(person, middle, size, float(np.cos(bones.pose.yaw)))
    yield from _hat(person, middle, size)


def _hair(person: Person, middle: Point, size: float, facing: float) -> Iterator[Solid]:
    style, hair = person.head.style, person.head.hair
    if style == "shaved":
        return
    volume = 1.45 if style == "full" else 1.06
    top = middle + np.array([0.0, 0.078 + 0.05 * (volume - 1), -0.022]) * size
    yield _ball("hair on top", top, (0.088 * size * volume, 0.074 * size, 0.098 * size * volume), hair, _HAIR)
    back = middle + np.array([0.0, -0.005, -0.05]) * size
    # Hair covers the back of the head; if the person faces the camera, the face hides this hair.
    yield _ball(
        "hair behind",
        back,
        (0.085 * size * volume, 0.125 * size * volume, 0.075 * size),
        hair,
        _HAIR + 0.02 - 0.1 * (facing > 0),
    )
    if style == "long":
        rings = [(-0.11, 0.04, 0.03), (-0.06, 0.10, 0.06), (0.10, 0.125, 0.07), (0.30, 0.14, 0.055), (0.38, 0.11, 0.03)]
        start = middle + np.array([0.0, 0.02, -0.075]) * size
        yield loft("long hair", start, start - 0.3 * _UP, rings, hair, _HEAD if facing < 0 else _BEHIND)
    if style == "ponytail":
        rings = [(-0.03, 0.02, 0.03), (0.02, 0.05, 0.06), (0.22, 0.042, 0.05), (0.33, 0.012, 0.015)]
        start = middle + np.array([0.0, 0.03, -0.14]) * size
        yield loft(
            "ponytail",
            start,
            start + np.array([0.0, -0.3, -0.08]),
            rings,
            hair,
            _HAIR + 0.1 if facing < 0.6 else _BEHIND,
        )
    if style == "bun":
        yield _ball("bun", middle + np.array([0.0, 0.145, -0.05]) * size, (0.062, 0.06, 0.062), hair, _HAIR)


def _hat(person: Person, middle: Point, size: float) -> Iterator[Solid]:
    kind, cloth = person.head.hat, person.head.hat_surface
    if kind == "none":
        return
    crown = middle + np.array([0.0, 0.05, -0.005]) * size
    height = 0.17 if kind == "beanie" else 0.125
    width = 0.098 * size * (1.2 if person.head.style == "full" else 1.0)
    rings = [(0.0, width, width + 0.012), (0.4 * height, 0.98 * width, width), (0.8 * height, 0.7 * width, 0.7 * width)]
    yield loft("hat", crown, crown + _UP, [*rings, (height, 0.2 * width, 0.2 * width)], cloth, _HAT)
    if kind == "cap":
        peak = crown + np.array([0.0, 0.005, 0.13]) * size
        yield _ball("peak", peak, (0.075 * size, 0.022, 0.10 * size), cloth, _HAT + 0.01)
    if kind == "brimmed":
        yield _ball("brim", crown, (0.19 * size, 0.026, 0.19 * size), cloth, _HAT + 0.01)


def _ball(part: str, middle: Point, radii: tuple[float, float, float], surface: Surface, layer: float) -> Solid:
    """Return an ellipsoid with the given half-axes x, y and z in metres."""
    heights = np.array([-0.999, -0.92, -0.75, -0.4, 0.0, 0.4, 0.75, 0.92, 0.999])
    share = np.sqrt(1 - heights**2)
    rings = [
        (float(h * radii[1]), float(s * radii[0]), float(s * radii[2])) for h, s in zip(heights, share, strict=True)
    ]
    return loft(part, middle, middle - _UP, rings, surface, layer)
