"""Patterns on clothes, as functions of the position on the cloth.

Every pattern takes ``across`` and ``down`` (distances along the surface in metres, from the middle of the front and from
the top) and ``angle`` (radians around the body, 0 at the front), which are float32 arrays that broadcast to H × W, and
``period`` in metres. It returns the share of the second tone, float32 in [0, 1], broadcastable to H × W.
"""

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

Pattern = Literal[
    "plain",
    "hoops",
    "stripes",
    "checks",
    "dots",
    "square print",
    "disc print",
    "yoke",
    "chest band",
    "halves",
    "side panels",
    "shins",
    "hem band",
]
Field = NDArray[np.float32]
PATTERNS: tuple[Pattern, ...] = get_args(Pattern)
ALL_OVER: tuple[Pattern, ...] = ("hoops", "stripes", "checks", "dots")
ON_THE_CHEST: tuple[Pattern, ...] = ("square print", "disc print", "yoke", "chest band", "halves", "side panels")

_EDGE = 0.012  # metres over which a printed edge changes from one tone to the other
_PRINT_CENTRE = 0.24  # metres below the neck


def second_tone(pattern: Pattern, across: Field, down: Field, angle: Field, period: float) -> Field:
    """Return the share of the second tone at every point; for the arguments, see the module's docstring."""
    return _FUNCTIONS[pattern](across, down, angle, period)


def _soft(share: NDArray[np.floating]) -> Field:
    limited: Field = np.clip(share, 0.0, 1.0).astype(np.float32)
    return limited


def _edge(distance: Field) -> Field:
    """Return 0 outside a shape and 1 inside, with a soft edge; ``distance`` to the edge is in metres, negative outside."""
    return _soft(distance / _EDGE + 0.5)


def _wave(position: Field, period: float) -> Field:
    """Alternate between 0 and 1, each for half a period, with soft edges."""
    return _soft(0.5 + 1.8 * np.sin(position * np.float32(2 * np.pi / period)))


def _plain(across: Field, down: Field, angle: Field, period: float) -> Field:
    return np.zeros((1, 1), np.float32)


def _hoops(across: Field, down: Field, angle: Field, period: float) -> Field:
    return _wave(down, period)


def _stripes(across: Field, down: Field, angle: Field, period: float) -> Field:
    return _wave(across + period / 4, period)


def _checks(across: Field, down: Field, angle: Field, period: float) -> Field:
    return (_wave(across, period) + _wave(down, period)) * np.float32(0.5)


def _dots(across: Field, down: Field, angle: Field, period: float) -> Field:
    row = np.floor(down / period)
    x = across / period + 0.5 * (row % 2)
    distance = np.hypot(x - np.floor(x) - 0.5, down / period - row - 0.5)
    return _edge(((0.34 - distance) * period).astype(np.float32))


def _square_print(across: Field, down: Field, angle: Field, period: float) -> Field:
    inside = np.minimum(period - np.abs(across), 0.8 * period - np.abs(down - _PRINT_CENTRE))
    return _edge(inside.astype(np.float32))


def _disc_print(across: Field, down: Field, angle: Field, period: float) -> Field:
    distance = np.hypot(across, down - _PRINT_CENTRE)
    return _edge((0.95 * period - distance).astype(np.float32)) * _edge((distance - 0.4 * period).astype(np.float32))


def _yoke(across: Field, down: Field, angle: Field, period: float) -> Field:
    return _edge((0.08 + 1.4 * period - down).astype(np.float32))


def _chest_band(across: Field, down: Field, angle: Field, period: float) -> Field:
    return _edge((0.75 * period - np.abs(down - 0.27)).astype(np.float32))


def _halves(across: Field, down: Field, angle: Field, period: float) -> Field:
    return _soft(0.5 + 6.0 * np.sin(angle))


def _side_panels(across: Field, down: Field, angle: Field, period: float) -> Field:
    return _soft(0.5 + 6.0 * (np.abs(np.sin(angle)) - 0.62))


def _shins(across: Field, down: Field, angle: Field, period: float) -> Field:
    return _edge((down - 0.42).astype(np.float32))


def _hem_band(across: Field, down: Field, angle: Field, period: float) -> Field:
    return _edge((0.6 * period - np.abs(down - 0.38)).astype(np.float32))


_FUNCTIONS: dict[Pattern, Callable[[Field, Field, Field, float], Field]] = {
    "plain": _plain,
    "hoops": _hoops,
    "stripes": _stripes,
    "checks": _checks,
    "dots": _dots,
    "square print": _square_print,
    "disc print": _disc_print,
    "yoke": _yoke,
    "chest band": _chest_band,
    "halves": _halves,
    "side panels": _side_panels,
    "shins": _shins,
    "hem band": _hem_band,
}
