"""The truth about an image: which point of the person's body each pixel shows."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lba_cli.synthetic.body import Solid
from lba_cli.synthetic.painting import View, farthest_first, outline_of, window_of
from lba_cli.synthetic.parts import PARTS
from lba_cli.synthetic.rendering import Rendering


@dataclass(frozen=True)
class Truth:
    """The points of a person's body that the pixels of an image show.

    A pixel shows the point at its centre. All arrays are (H, W), and 0 where the person isn't seen: beside the person, and behind
    passers-by and obstacles.

    Attributes:
        part: uint8, the number of the part, counted from 1 in :data:`~lba_cli.synthetic.parts.PARTS`.
        along: float64, the place along the part's axis, in shares of the person's height.
        angle: float64, the angle around the axis in radians, in [-π, π). 0 is the front of the body.
        height: the person's height in the image, in pixels.
    """

    part: NDArray[np.uint8]
    along: NDArray[np.float64]
    angle: NDArray[np.float64]
    height: float


def truth_of(rendering: Rendering, stature: float) -> Truth:
    """Compute the truth about a rendering of a person who is ``stature`` metres tall.

    Solids hide each other in the order in which they were painted. A pixel is hidden by an obstacle that covers at least half of it.
    """
    width, height = rendering.image.size
    part, along, angle = np.zeros((height, width), np.uint8), np.zeros((height, width)), np.zeros((height, width))
    view = rendering.person.view.shrunk(rendering.supersampling)
    for solid in farthest_first(rendering.person.solids, view):
        seen = _points(solid, view, (height, width))
        pixels = seen.rows, seen.columns
        part[pixels], along[pixels], angle[pixels] = PARTS.index(solid.part) + 1, seen.along / stature, seen.angle
    hidden = np.zeros((height, width), bool)
    for solids, their_view in rendering.passers_by:
        for solid in solids:
            before = _points(solid, their_view.shrunk(rendering.supersampling), (height, width))
            hidden[before.rows, before.columns] = True
    if rendering.obstacle:
        hidden |= np.asarray(rendering.obstacle.reduce(rendering.supersampling)) >= 127
    for array in (part, along, angle):
        array[hidden] = 0
    return Truth(part, along, angle, view.scale * stature)


class _Points(NamedTuple):
    """The pixels whose centres lie in a solid, and the points there: metres along the axis, and radians around it."""

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    along: NDArray[np.float64]
    angle: NDArray[np.float64]


_NOTHING = _Points(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0), np.zeros(0))


def _points(solid: Solid, view: View, size: tuple[int, int]) -> _Points:
    outline = outline_of(solid, view)
    window = window_of(outline, size)
    if window is None:
        return _NOTHING
    top, bottom, left, right = window
    rows, columns = (array.ravel() for array in np.mgrid[top:bottom, left:right])
    x, y = columns + 0.5 - outline.start[0], rows + 0.5 - outline.start[1]
    position = x * outline.axis[0] + y * outline.axis[1]
    offset = x * outline.axis[1] - y * outline.axis[0]
    half = np.interp(position, outline.along, outline.half)
    inside = (np.abs(offset) < half) & (outline.along[0] < position) & (position < outline.along[-1])
    across = np.arcsin(offset[inside] / half[inside])
    angle = np.mod(across - view.yaw + np.pi, 2 * np.pi) - np.pi
    along = np.interp(position[inside], outline.along, solid.along)
    return _Points(rows[inside], columns[inside], along, angle)
