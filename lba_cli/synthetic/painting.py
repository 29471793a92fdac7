"""Paint solids into a picture: projection, painter's order, cloth, shading and soft edges.

A canvas is a float32 array H × W × C in [0, 1]: C = 3 for visible light (sRGB), C = 1 for near infrared.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lba_cli.synthetic.body import Point, Solid
from lba_cli.synthetic.textures import second_tone
from lba_cli.synthetic.wardrobe import Surface

Canvas = NDArray[np.float32]


@dataclass(frozen=True)
class View:
    """The view of a body.

    It consists of the body's yaw and the camera's pitch (in radians; positive is downwards), the position of the point between
    the feet in the picture (in pixels), and the number of pixels per metre.
    """

    yaw: float
    pitch: float
    foot_x: float
    foot_y: float
    scale: float

    def shrunk(self, factor: int) -> "View":
        """Return the same view in a picture that is smaller by ``factor``."""
        return replace(self, foot_x=self.foot_x / factor, foot_y=self.foot_y / factor, scale=self.scale / factor)


class Outline(NamedTuple):
    """A solid's outline in the picture, around the axis from ``start`` (x, y) in the direction ``axis``.

    ``along`` (K,) and ``half`` (K,) are the solid's ascending positions on the axis and the half-widths there, ``shown`` is the
    length of the axis in the picture, all in pixels; ``length`` is its length in metres.
    """

    start: Point
    axis: Point
    along: NDArray[np.float64]
    half: NDArray[np.float64]
    shown: float
    length: float


@dataclass(frozen=True)
class Light:
    """The light on a body: the share of ambient light, the direction of the other light (``side`` is its component to the right), and the
    phase of the cloth's folds."""

    ambient: float
    side: float
    front: float
    fold: float


def paint(canvas: Canvas, solids: list[Solid], view: View, light: Light) -> None:
    """Paint ``solids`` into ``canvas``, the farthest first."""
    for solid in farthest_first(solids, view):
        _paint_solid(canvas, solid, view, light)


def farthest_first(solids: list[Solid], view: View) -> list[Solid]:
    """Return ``solids`` in the order in which they are painted, so that each hides those before it."""
    return sorted(solids, key=lambda each: _nearness(each, view))


def outline_of(solid: Solid, view: View) -> Outline:
    """Project a solid into the picture."""
    start, end = _project(solid.start, view), _project(solid.end, view)
    shown = float(np.linalg.norm(end - start))
    axis = (end - start) / shown if shown > 1e-6 else np.array([0.0, 1.0])
    length = float(np.linalg.norm(solid.end - solid.start))
    inside = np.clip(solid.along, 0.0, length)
    along = inside * (shown / length) + (solid.along - inside) * view.scale  # round ends stay round when foreshortened
    half = view.scale * np.hypot(solid.wide * np.cos(view.yaw), solid.deep * np.sin(view.yaw))
    return Outline(start, axis, along, half, shown, length)


def _nearness(solid: Solid, view: View) -> float:
    middle = solid.start + (solid.end - solid.start) * 0.5
    return _depth(middle, view) + solid.layer


def _depth(point: Point, view: View) -> float:
    return float(point[2] * np.cos(view.yaw) - point[0] * np.sin(view.yaw))


def _project(point: Point, view: View) -> NDArray[np.float64]:
    across = point[0] * np.cos(view.yaw) + point[2] * np.sin(view.yaw)
    down = _depth(point, view) * np.sin(view.pitch) - point[1] * np.cos(view.pitch)
    return np.array([view.foot_x + view.scale * across, view.foot_y + view.scale * down])


def _paint_solid(canvas: Canvas, solid: Solid, view: View, light: Light) -> None:
    outline = outline_of(solid, view)
    start, axis, along, half, shown, length = outline
    window = window_of(outline, canvas.shape[:2])
    if window is None:
        return
    top, bottom, left, right = window
    y = np.arange(top, bottom, dtype=np.float32)[:, None] + np.float32(0.5 - start[1])
    x = np.arange(left, right, dtype=np.float32)[None, :] + np.float32(0.5 - start[0])
    position = x * np.float32(axis[0]) + y * np.float32(axis[1])
    offset = x * np.float32(axis[1]) - y * np.float32(axis[0])
    width = np.interp(position, along, half).astype(np.float32)
    cover = np.minimum(
        width - np.abs(offset), np.minimum(position - np.float32(along[0]), np.float32(along[-1]) - position)
    )
    rows, columns = np.nonzero(cover > -0.5)
    position, offset, width = position[rows, columns], offset[rows, columns], width[rows, columns]
    across = np.clip(offset / np.maximum(width, 1e-3), -1.0, 1.0).astype(np.float32, copy=False)
    down = position * np.float32(length / max(shown, 0.3 * view.scale * length)) + np.float32(solid.down)
    colour = _shaded(solid, across, down, view, light, canvas.shape[2])
    alpha = np.clip(cover[rows, columns] + 0.5, 0.0, 1.0)[:, None]
    part = canvas[top:bottom, left:right]
    part[rows, columns] += alpha * (colour - part[rows, columns])


def window_of(outline: Outline, size: tuple[int, ...]) -> tuple[int, int, int, int] | None:
    """Return the bounds (top, bottom, left, right) of the part of a picture that a solid may cover; None if it covers nothing.

    ``size`` is the picture's height and width.
    """
    ends = outline.start + np.array([[outline.along[0]], [outline.along[-1]]]) * outline.axis
    margin = float(outline.half.max()) * np.abs(outline.axis[::-1]) + 1.0
    left, top = np.floor(ends.min(0) - margin).astype(int)
    right, bottom = np.ceil(ends.max(0) + margin).astype(int)
    left, top = max(left, 0), max(top, 0)
    right, bottom = min(right, size[1]), min(bottom, size[0])
    return (top, bottom, left, right) if left < right and top < bottom else None


def _shaded(
    solid: Solid, across: NDArray[np.float32], down: NDArray[np.float32], view: View, light: Light, channels: int
) -> NDArray[np.float32]:
    """Return the (N, C) colours of the surface at (N,) positions ``across`` (-1 … 1) and ``down`` (metres)."""
    normal = np.arcsin(across)
    angle = np.mod(normal - np.float32(view.yaw) + np.float32(np.pi), np.float32(2 * np.pi)) - np.float32(np.pi)
    first, second = _tones(solid.surface, channels)
    colour = first[None]
    if solid.surface.pattern != "plain":
        radius = np.float32(0.5 * (solid.wide.max() + solid.deep.max()))
        mix = second_tone(solid.surface.pattern, angle * radius, down, angle, solid.surface.period)
        colour = first + np.broadcast_to(mix, across.shape)[:, None] * (second - first)
    lit = np.maximum(0.0, light.side * across + light.front * np.sqrt(1.0 - across * across))
    folds = 0.045 * np.sin(down * np.float32(23.0) + 3.0 * angle + np.float32(light.fold))
    shade = (light.ambient + (1.0 - light.ambient) * lit) * (1.0 + folds)
    painted: Canvas = (colour * shade[:, None]).astype(np.float32)
    return painted


def _tones(surface: Surface, channels: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return both tones of ``surface`` in visible light (3 channels) or in near infrared (1 channel)."""
    if channels == 1:
        return np.array([surface.reflectance], np.float32), np.array([surface.accent_reflectance], np.float32)
    return np.array(surface.colour, np.float32), np.array(surface.accent, np.float32)
