"""Render one image of a person under a camera. Everything but the person and the camera is random."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from lba_cli.synthetic.body import Solid, random_pose, skeleton
from lba_cli.synthetic.cameras import CAMERAS, Camera, develop
from lba_cli.synthetic.dressing import dress
from lba_cli.synthetic.painting import Canvas, Light, View, paint
from lba_cli.synthetic.people import Person, draw_person
from lba_cli.synthetic.scenery import background, obstruct

_STRANGERS = 8_000_000  # the first number of passers-by, larger than any identity
_OBSTRUCTED, _STRANGER_BEHIND, _STRANGER_BEFORE = 0.14, 0.12, 0.06


@dataclass(frozen=True)
class Frame:
    """The size of images: (smallest, largest) in pixels, and the factor by which they are larger when they are painted than when they are saved.

    In ``loose`` images, people are larger, smaller and farther from the middle, as in the boxes of a detector without a tracker.
    """

    width: tuple[int, int]
    height: tuple[int, int]
    supersampling: int
    loose: bool = False


class Figure(NamedTuple):
    """Somebody in a picture: the solids, and the view of them."""

    solids: list[Solid]
    view: View


@dataclass(frozen=True)
class Rendering:
    """An image, and all that hides its background. Views and the obstacle have the size at which the image was painted.

    Attributes:
        image: the image, RGB.
        person: the person.
        passers_by: the people before the person.
        obstacle: an L mask of the obstacle before everybody, 255 inside; None without an obstacle.
        supersampling: the factor by which the image is smaller than the painted picture.
    """

    image: Image.Image
    person: Figure
    passers_by: tuple[Figure, ...]
    obstacle: Image.Image | None
    supersampling: int


def render(person: Person, camera_number: int, frame: Frame, seed: int, rng: np.random.Generator) -> Rendering:
    """Draw a person. Images of the infrared cameras 3 and 6 have three equal channels.

    Args:
        person: the person.
        camera_number: the camera, 1 to 6.
        frame: the size of the image.
        seed: the seed of the scenery and of passers-by.
        rng: the generator of everything that differs between two images.
    """
    camera = CAMERAS[camera_number]
    outdoors = camera.place not in ("hall", "office")
    width, height = int(rng.integers(*frame.width, endpoint=True)), int(rng.integers(*frame.height, endpoint=True))
    size = width * frame.supersampling, height * frame.supersampling
    scene = background(camera.place, "L" if camera.infrared else "RGB", size, seed, rng)
    light = _light(camera, rng)
    canvas = np.asarray(scene, np.float32).reshape(size[1], size[0], -1) / np.float32(255)
    if rng.random() < _STRANGER_BEHIND:
        _paint_stranger(canvas, camera, light, seed, rng, 0.75)
    view = _view(camera, size, person, rng)
    figure = _paint_person(canvas, person, _loosened(view, size, rng) if frame.loose else view, light, rng)
    passers_by = []
    if rng.random() < _STRANGER_BEFORE:
        passers_by.append(_paint_stranger(canvas, camera, light, seed, rng, 1.1))
    picture = _as_image(canvas)
    obstacle = obstruct(picture, outdoors, rng) if rng.random() < _OBSTRUCTED else None
    image = develop(picture.reduce(frame.supersampling), camera, rng)
    return Rendering(image, figure, tuple(passers_by), obstacle, frame.supersampling)


def jpeg_quality(camera_number: int, rng: np.random.Generator) -> int:
    """Return a random JPEG quality from the camera's range."""
    return int(rng.integers(*CAMERAS[camera_number].quality, endpoint=True))


def _view(camera: Camera, size: tuple[int, int], person: Person, rng: np.random.Generator) -> View:
    """Return a view in which the person is slightly off-centre, as in a detector's box."""
    width, height = size
    fill = float(rng.uniform(0.80, 1.0)) if rng.random() < 0.85 else float(rng.uniform(1.0, 1.14))
    spare = 1.0 - fill
    foot = 1.0 - 0.5 * spare + float(rng.normal(0.0, 0.025)) - 0.015
    return View(
        yaw=0.0,
        pitch=float(rng.uniform(*camera.pitch)),
        foot_x=width * (0.5 + float(rng.normal(0.0, 0.045))),
        foot_y=height * foot,
        scale=height * fill / (1.02 * person.build.stature),
    )


def _loosened(view: View, size: tuple[int, int], rng: np.random.Generator) -> View:
    """Return a view in which the person has between 0.6 and 1.2 times the size, and is shifted by up to a fifth of the picture."""
    width, height = size
    factor = float(rng.uniform(0.6, 1.2))
    middle = 0.5 * height  # the person shrinks and grows around the middle of the picture
    return replace(
        view,
        scale=view.scale * factor,
        foot_x=view.foot_x + width * float(rng.uniform(-0.2, 0.2)),
        foot_y=middle + (view.foot_y - middle) * factor + height * float(rng.uniform(-0.12, 0.12)),
    )


def _light(camera: Camera, rng: np.random.Generator) -> Light:
    """Return the light of a scene. Infrared lamps are at the camera; visible light comes from a random direction in front."""
    around = float(rng.normal(0.0, 0.12)) if camera.infrared else float(rng.uniform(-0.9, 0.9))
    return Light(float(rng.uniform(*camera.ambient)), np.sin(around), np.cos(around), float(rng.uniform(0, 6.28)))


def _paint_person(canvas: Canvas, person: Person, view: View, light: Light, rng: np.random.Generator) -> Figure:
    pose = random_pose(rng)
    _shadow(canvas, view)
    figure = Figure(dress(person, skeleton(person.build, pose)), replace(view, yaw=pose.yaw))
    paint(canvas, *figure, light)
    return figure


def _paint_stranger(
    canvas: Canvas, camera: Camera, light: Light, seed: int, rng: np.random.Generator, scale: float
) -> Figure:
    """Paint a passer-by at the edge of the picture."""
    stranger = draw_person(seed, _STRANGERS + int(rng.integers(10_000)))
    height, width = canvas.shape[:2]
    view = _view(camera, (width, height), stranger, rng)
    away = float(rng.choice((-1, 1))) * float(rng.uniform(0.45, 0.62)) * width
    foot = view.foot_y * (0.93 if scale < 1 else 1.04)
    view = replace(view, foot_x=view.foot_x + away, foot_y=foot, scale=view.scale * scale)
    return _paint_person(canvas, stranger, view, light, rng)


def _shadow(canvas: Canvas, view: View) -> None:
    """Darken the ground under the feet."""
    height, width = canvas.shape[:2]
    mask = Image.new("L", (width, height))
    reach = 0.26 * view.scale
    box = (view.foot_x - reach, view.foot_y - 0.25 * reach, view.foot_x + reach, view.foot_y + 0.25 * reach)
    ImageDraw.Draw(mask).ellipse(box, fill=115)
    first = max(0, int(box[1]) - 1)
    canvas[first:] *= 1.0 - np.asarray(mask, np.float32)[first:, :, None] / np.float32(255)


def _as_image(canvas: Canvas) -> Image.Image:
    levels = (canvas * np.float32(255) + np.float32(0.5)).clip(0, 255).astype(np.uint8)
    return Image.fromarray(levels[..., 0] if levels.shape[2] == 1 else levels)
