"""A walking body: joints in three dimensions, and the solids that a person is built from.

Body coordinates are in metres: y points up from the ground, z to the front of the body, and x to the right of the picture
if the body faces the camera. All joints are float64 arrays of shape (3,).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lba_cli.synthetic.people import Build
from lba_cli.synthetic.wardrobe import Surface

Point = NDArray[np.float64]
SIDES = (-1, 1)
SIDE_NAMES = {-1: "right", 1: "left"}  # of the body


@dataclass(frozen=True)
class Pose:
    """The pose of a body in one image, as angles in radians. A ``yaw`` of 0 faces the camera; π turns its back to it."""

    yaw: float
    phase: float
    stride: float
    swing: float
    bend: float
    lean: float


@dataclass(frozen=True)
class Solid:
    """A tapering piece of the body around the axis ``start`` → ``end``, with an elliptic cross-section.

    ``along`` (K,) has ascending positions on the axis, in metres from ``start``. ``wide`` and ``deep`` (K,) have the
    half-widths at these positions, sideways and forward, in metres. ``down`` is the distance from the cloth's top to ``start``, in
    metres. ``layer`` is added to the solid's nearness to the camera, which decides which solid hides another. ``part`` is one of
    :data:`~lba_cli.synthetic.parts.PARTS`; a person has at most one solid of each.
    """

    part: str
    start: Point
    end: Point
    along: NDArray[np.float64]
    wide: NDArray[np.float64]
    deep: NDArray[np.float64]
    surface: Surface
    layer: float
    down: float = 0.0


@dataclass(frozen=True)
class Skeleton:
    """The joints of a posed body. Joints that come in pairs are keyed by side, -1 or 1."""

    build: Build
    pose: Pose
    hip_height: float
    neck: Point
    crown: Point
    waist: Point
    hip: dict[int, Point]
    knee: dict[int, Point]
    ankle: dict[int, Point]
    shoulder: dict[int, Point]
    elbow: dict[int, Point]
    wrist: dict[int, Point]


def random_pose(rng: np.random.Generator) -> Pose:
    """Return a random pose: seen from the front, the back, a side or in between, at any moment of a stride."""
    yaw = float(rng.choice((0.0, 0.0, np.pi, np.pi, 0.5, -0.5, 0.8, -0.8, 2.5, -2.5, 1.4, -1.4)))
    return Pose(
        yaw=yaw + float(rng.normal(0.0, 0.16)),
        phase=float(rng.uniform(0.0, 2 * np.pi)),
        stride=float(rng.uniform(0.05, 0.48)),
        swing=float(rng.uniform(0.05, 0.45)),
        bend=float(rng.uniform(0.05, 0.5)),
        lean=float(rng.normal(0.02, 0.02)),
    )


def skeleton(build: Build, pose: Pose) -> Skeleton:
    """Return the skeleton of ``build`` in ``pose``. The lower foot stands on the ground (y = 0)."""
    hip_height = build.legs * build.stature
    trunk = np.array([0.0, 0.825 * build.stature - hip_height, pose.lean])
    pelvis = np.array([0.0, hip_height, 0.0])
    legs = {side: _leg(build, pose, side, pelvis) for side in SIDES}
    arms = {side: _arm(build, pose, side, pelvis + trunk) for side in SIDES}
    drop = min(float(legs[side][2][1]) for side in SIDES) - 0.05 * build.stature
    sink = np.array([0.0, -drop, 0.0])
    return Skeleton(
        build=build,
        pose=pose,
        hip_height=hip_height - drop,
        neck=pelvis + trunk + sink,
        crown=pelvis + trunk + np.array([0.0, 0.175 * build.stature, 0.01]) + sink,
        waist=pelvis + 0.28 * trunk + sink,
        hip={side: legs[side][0] + sink for side in SIDES},
        knee={side: legs[side][1] + sink for side in SIDES},
        ankle={side: legs[side][2] + sink for side in SIDES},
        shoulder={side: arms[side][0] + sink for side in SIDES},
        elbow={side: arms[side][1] + sink for side in SIDES},
        wrist={side: arms[side][2] + sink for side in SIDES},
    )


def limb(
    part: str, start: Point, end: Point, radii: tuple[float, float], surface: Surface, layer: float, down: float = 0.0
) -> Solid:
    """Return a round limb with rounded ends and the given ``radii`` at ``start`` and ``end``, in metres."""
    length = float(np.linalg.norm(end - start))
    first, last = radii
    bow = np.array([1.0, 0.8, 0.45])
    chord = np.array([0.05, 0.6, 0.9])
    along = np.concatenate([-first * bow, [0.0, length], length + last * bow[::-1]])
    width = np.concatenate([first * chord, [first, last], last * chord[::-1]])
    return Solid(part, start, end, along, width, width, surface, layer, down)


def sleeve(
    part: str, start: Point, end: Point, radii: tuple[float, float], surface: Surface, layer: float, down: float = 0.0
) -> Solid:
    """Return the cloth around a limb. The cloth is rounded at ``start`` and cut straight at ``end``."""
    length = float(np.linalg.norm(end - start))
    first, last = radii
    along = np.array([-first, -0.8 * first, -0.45 * first, 0.0, length])
    width = np.array([0.05 * first, 0.6 * first, 0.9 * first, first, last])
    return Solid(part, start, end, along, width, width, surface, layer, down)


def loft(
    part: str,
    start: Point,
    end: Point,
    rings: list[tuple[float, float, float]],
    surface: Surface,
    layer: float,
    down: float = 0.0,
) -> Solid:
    """Return a solid through elliptic ``rings`` of (position on the axis, half-width, half-depth), in metres."""
    along, wide, deep = np.array(rings, np.float64).T
    return Solid(part, start, end, along, wide, deep, surface, layer, down)


def _leg(build: Build, pose: Pose, side: int, pelvis: Point) -> tuple[Point, Point, Point]:
    thigh = 0.5 * (build.legs - 0.045) * build.stature
    moment = pose.phase if side > 0 else pose.phase + np.pi
    forward = pose.stride * np.sin(moment)
    knee_bend = pose.stride * (0.25 + 0.9 * max(0.0, float(np.cos(moment))))
    hip = pelvis + np.array([side * 0.54 * build.hips, 0.0, 0.0])
    knee = hip + thigh * np.array([side * 0.02, -np.cos(forward), np.sin(forward)])
    ankle = knee + thigh * np.array([0.0, -np.cos(forward - knee_bend), np.sin(forward - knee_bend)])
    return hip, knee, ankle


def _arm(build: Build, pose: Pose, side: int, neck: Point) -> tuple[Point, Point, Point]:
    moment = pose.phase if side < 0 else pose.phase + np.pi
    forward = pose.swing * np.sin(moment)
    fold = forward + pose.bend
    shoulder = neck + np.array([side * 0.88 * build.shoulders, -0.046 * build.stature, 0.0])
    out = 0.16 + 0.05 * build.limb
    elbow = shoulder + 0.172 * build.stature * np.array([side * out, -np.cos(forward), np.sin(forward)])
    wrist = elbow + 0.150 * build.stature * np.array([side * 0.04, -np.cos(fold), np.sin(fold)])
    return shoulder, elbow, wrist
