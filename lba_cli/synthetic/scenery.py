"""The places where people walk, and obstacles. Every image shows a random piece of a wide picture of its camera's place.

Every shape has a visible colour and a near-infrared grey level of its own. Both cameras in the office see the same shapes.
"""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple, Protocol

import numpy as np
from PIL import Image, ImageDraw

from lba_cli.synthetic.cameras import Place

_WIDTH, _HEIGHT = 960, 300
_FLOOR = 190  # the row where the wall meets the floor
_PLACES: tuple[Place, ...] = ("hall", "office", "street", "garden", "yard")


class Paint(NamedTuple):
    """A colour (red, green, blue) in [0, 1] and a near-infrared grey level in [0, 1]."""

    red: float
    green: float
    blue: float
    grey: float

    def ink(self, mode: str, light: float = 1.0) -> tuple[int, int, int] | int:
        """Return the fill colour for Pillow in an image of ``mode`` RGB or L."""
        levels = [int(255 * min(1.0, max(0.0, light * level))) for level in self]
        return levels[3] if mode == "L" else (levels[0], levels[1], levels[2])


class Pen(Protocol):
    """The part of Pillow's ``ImageDraw`` that draws filled shapes. Boxes are (left, top, right, bottom), in pixels."""

    def rectangle(self, xy: Sequence[float], fill: tuple[int, ...] | int) -> None:
        """Draw a rectangle."""

    def ellipse(self, xy: Sequence[float], fill: tuple[int, ...] | int) -> None:
        """Draw an ellipse."""


class MarkingPen:
    """A pen that draws into a picture, and marks the same pixels with 255 in a ``mask`` of mode L and the same size."""

    def __init__(self, picture: Image.Image) -> None:
        self.mask = Image.new("L", picture.size)
        self._pen, self._marker = ImageDraw.Draw(picture), ImageDraw.Draw(self.mask)

    def rectangle(self, xy: Sequence[float], fill: tuple[int, ...] | int) -> None:
        """Draw a rectangle, see :class:`Pen`."""
        self._pen.rectangle(tuple(xy), fill=fill)
        self._marker.rectangle(tuple(xy), fill=255)

    def ellipse(self, xy: Sequence[float], fill: tuple[int, ...] | int) -> None:
        """Draw an ellipse, see :class:`Pen`."""
        self._pen.ellipse(tuple(xy), fill=fill)
        self._marker.ellipse(tuple(xy), fill=255)


def background(place: Place, mode: str, size: tuple[int, int], seed: int, rng: np.random.Generator) -> Image.Image:
    """Return a random piece of ``place`` as an image of ``mode`` (RGB or L) and ``size`` (width, height)."""
    scene = _scene(place, mode, seed)
    tall = float(rng.uniform(0.72, 1.0)) * _HEIGHT
    wide = min(float(_WIDTH), tall * size[0] / size[1] * float(rng.uniform(0.9, 1.3)))
    left, top = float(rng.uniform(0, _WIDTH - wide)), float(rng.uniform(0, _HEIGHT - tall))
    piece = scene.resize(size, Image.Resampling.BILINEAR, (left, top, left + wide, top + tall))
    return piece.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else piece


def obstruct(picture: Image.Image, outdoors: bool, rng: np.random.Generator) -> Image.Image:
    """Draw an obstacle into ``picture`` (RGB or L) that hides a part of the person; return an L mask of it, 255 inside."""
    kind, pen = ("pole", "bush") if outdoors else ("pillar", "desk"), MarkingPen(picture)
    (_pillar, _low_thing)[int(rng.integers(2))](picture, pen, kind, rng)
    return pen.mask


def _pillar(picture: Image.Image, pen: Pen, kind: tuple[str, str], rng: np.random.Generator) -> None:
    wide = picture.width * float(rng.uniform(0.12, 0.30))
    left = float(rng.uniform(-0.1, 0.18)) * picture.width
    if rng.random() < 0.5:
        left = picture.width - left - wide
    paint, steps = _dull(rng), 8
    for step in range(steps):
        light = 0.75 + 0.35 * float(np.sin(np.pi * (step + 0.5) / steps))
        edges = left + wide * step / steps, left + wide * (step + 1) / steps
        pen.rectangle((edges[0], 0, edges[1], picture.height), fill=paint.ink(picture.mode, light))


def _low_thing(picture: Image.Image, pen: Pen, kind: tuple[str, str], rng: np.random.Generator) -> None:
    top = picture.height * float(rng.uniform(0.68, 0.86))
    if kind[1] == "bush":
        _leaves(pen, picture.mode, (-0.1 * picture.width, top, 1.1 * picture.width, 1.1 * picture.height), 260, rng)
        return
    paint = _dull(rng)
    left, right = sorted((float(rng.uniform(-0.3, 0.4)) * picture.width, float(rng.uniform(0.6, 1.3)) * picture.width))
    pen.rectangle((left, top, right, picture.height), fill=paint.ink(picture.mode, 0.7))
    pen.rectangle((left - 6, top, right + 6, top + 0.025 * picture.height), fill=paint.ink(picture.mode, 1.1))


def _leaves(pen: Pen, mode: str, box: tuple[float, float, float, float], count: int, rng: np.random.Generator) -> None:
    """Draw leaves, bright in near infrared, that thin out towards the top of ``box`` (left, top, right, bottom)."""
    left, top, right, bottom = box
    size = 0.05 * (bottom - top) + 0.015 * (right - left)
    for x, y, light, scale in rng.random((count, 4)):
        middle = left + x * (right - left), bottom - (y**1.4) * (bottom - top)
        radius = size * (0.4 + scale)
        ink = Paint(0.22, 0.38, 0.16, 0.55).ink(mode, 0.45 + 0.9 * light)
        pen.ellipse(
            (middle[0] - radius, middle[1] - 0.7 * radius, middle[0] + radius, middle[1] + 0.7 * radius), fill=ink
        )


@cache
def _scene(place: Place, mode: str, seed: int) -> Image.Image:
    rng = np.random.default_rng((seed, 7_000_000 + _PLACES.index(place)))
    scene = Image.new(mode, (_WIDTH, _HEIGHT))
    draw = ImageDraw.Draw(scene)
    indoors = place in ("hall", "office")
    _wall_and_floor(draw, mode, indoors, rng)
    for _ in range(26):
        (_indoor_thing if indoors else _outdoor_thing)(draw, mode, rng)
    if place in ("garden", "yard"):
        for _ in range(9):
            left, wide = float(rng.uniform(-60, _WIDTH)), float(rng.uniform(60, 190))
            _leaves(draw, mode, (left, float(rng.uniform(20, 130)), left + wide, _FLOOR + 12), 700, rng)
    return scene


def _wall_and_floor(draw: ImageDraw.ImageDraw, mode: str, indoors: bool, rng: np.random.Generator) -> None:
    wall, floor = (_pale(rng), _pale(rng)) if indoors else (_dull(rng), _dull(rng))
    for row in range(_HEIGHT):
        light = 0.85 + 0.25 * row / _FLOOR if row < _FLOOR else 0.65 + 0.4 * (row - _FLOOR) / (_HEIGHT - _FLOOR)
        draw.line((0, row, _WIDTH, row), fill=(wall if row < _FLOOR else floor).ink(mode, light))
    for joint in range(-4, 36):  # tiles or paving stones, in perspective
        left = 40.0 * joint - 200
        draw.line((left, _FLOOR, 1.6 * (left - _WIDTH / 2) + _WIDTH / 2, _HEIGHT), fill=floor.ink(mode, 0.55))
    for share in (0.08, 0.22, 0.45, 0.75):
        joint_row = _FLOOR + share * (_HEIGHT - _FLOOR)
        draw.line((0, joint_row, _WIDTH, joint_row), fill=floor.ink(mode, 0.55))


def _indoor_thing(draw: ImageDraw.ImageDraw, mode: str, rng: np.random.Generator) -> None:
    """Draw a door, a picture on the wall, or a piece of furniture."""
    left, paint = float(rng.uniform(-40, _WIDTH)), _dull(rng)
    kind = rng.random()
    if kind < 0.3:
        wide, top, bottom = float(rng.uniform(55, 80)), float(rng.uniform(10, 40)), _FLOOR + 3.0
    elif kind < 0.6:
        wide, top = float(rng.uniform(25, 80)), float(rng.uniform(20, 70))
        bottom = top + float(rng.uniform(25, 60))
    else:
        wide, bottom = float(rng.uniform(40, 120)), float(rng.uniform(_FLOOR + 5, _FLOOR + 35))
        top = bottom - float(rng.uniform(30, 80))
    draw.rectangle((left, top, left + wide, bottom), fill=paint.ink(mode), outline=paint.ink(mode, 0.55), width=3)
    if rng.random() < 0.6:
        inner = (left + 0.15 * wide, top + 8, left + 0.85 * wide, top + 0.45 * (bottom - top))
        draw.rectangle(inner, fill=_pale(rng).ink(mode, 0.9))


def _outdoor_thing(draw: ImageDraw.ImageDraw, mode: str, rng: np.random.Generator) -> None:
    """Draw a window, a pole, a trunk or a kerb."""
    left, kind = float(rng.uniform(-40, _WIDTH)), rng.random()
    paint = _dull(rng)
    if kind < 0.45:
        wide, tall, top = float(rng.uniform(30, 90)), float(rng.uniform(30, 90)), float(rng.uniform(0, 70))
        draw.rectangle(
            (left, top, left + wide, top + tall), fill=paint.ink(mode, 0.6), outline=paint.ink(mode), width=4
        )
    elif kind < 0.75:
        wide = float(rng.uniform(6, 22))
        draw.rectangle((left, 0, left + wide, float(rng.uniform(_FLOOR, _FLOOR + 40))), fill=paint.ink(mode, 0.7))
    else:
        row, wide = float(rng.uniform(_FLOOR - 30, _FLOOR + 30)), float(rng.uniform(80, 260))
        draw.rectangle((left, row, left + wide, row + float(rng.uniform(8, 34))), fill=paint.ink(mode, 0.9))


def _pale(rng: np.random.Generator) -> Paint:
    level = float(rng.uniform(0.58, 0.82))
    red, green, blue = (float(level + shift) for shift in rng.normal(0, 0.04, 3))
    return Paint(red, green, blue, float(rng.uniform(0.22, 0.42)))


def _dull(rng: np.random.Generator) -> Paint:
    red, green, blue = (float(level) for level in rng.uniform(0.18, 0.62) + rng.normal(0, 0.07, 3))
    return Paint(red, green, blue, float(rng.uniform(0.10, 0.42)))
