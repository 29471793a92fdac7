"""Synthetic people: what distinguishes them, and what must not."""

from __future__ import annotations

import itertools
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from lba_cli.datasets.synthesize import plan_synthetic
from lba_cli.datasets.sysu import SYSU
from lba_cli.synthetic import PRESETS
from lba_cli.synthetic.people import Person, draw_person
from lba_cli.synthetic.rendering import render
from lba_cli.synthetic.textures import PATTERNS, second_tone
from lba_cli.synthetic.wardrobe import MATERIALS, Surface, cloth, luminance

INFRARED = (3, 6)
VISIBLE = (1, 2, 4, 5)


def draw(person: Person, camera: int, seed: int = 0, preset: str = "tiny") -> NDArray[np.uint8]:
    rendering = render(person, camera, PRESETS[preset].frame, 0, np.random.default_rng((seed, camera)))
    return np.asarray(rendering.image)


def with_colours(thing: Any, rng: np.random.Generator) -> Any:
    """The same thing in other visible colours; everything else stays."""
    if isinstance(thing, Surface):
        return replace(thing, colour=tuple(rng.random(3)), accent=tuple(rng.random(3)))
    if not is_dataclass(thing) or isinstance(thing, type):
        return thing
    return replace(thing, **{field.name: with_colours(getattr(thing, field.name), rng) for field in fields(thing)})


def with_reflectances(thing: Any, rng: np.random.Generator) -> Any:
    """The same thing of other materials; its visible colours stay."""
    if isinstance(thing, Surface):
        return replace(thing, reflectance=float(rng.random()), accent_reflectance=float(rng.random()))
    if not is_dataclass(thing) or isinstance(thing, type):
        return thing
    return replace(thing, **{field.name: with_reflectances(getattr(thing, field.name), rng) for field in fields(thing)})


def test_people_differ_and_are_reproducible() -> None:
    people = [draw_person(0, identity) for identity in range(60)]
    assert people == [draw_person(0, identity) for identity in range(60)]
    shapes = {(p.upper.kind, p.upper.surface.pattern, p.lower.kind, p.bag.kind, p.head.style) for p in people}
    assert len(shapes) >= 57
    assert draw_person(1, 7) != draw_person(0, 7)


@pytest.mark.parametrize("camera", INFRARED)
def test_visible_colours_do_not_affect_infrared_images(camera: int) -> None:
    for identity in range(8):
        person = draw_person(0, identity)
        recoloured = with_colours(person, np.random.default_rng(identity))
        assert recoloured != person
        assert (draw(person, camera) == draw(recoloured, camera)).all()
        assert (draw(person, 1) != draw(recoloured, 1)).any()


@pytest.mark.parametrize("camera", VISIBLE)
def test_materials_do_not_affect_visible_images(camera: int) -> None:
    for identity in range(4):
        person = draw_person(0, identity)
        remade = with_reflectances(person, np.random.default_rng(identity))
        assert (draw(person, camera) == draw(remade, camera)).all()
        assert (draw(person, 3) != draw(remade, 3)).any()


def test_infrared_grey_is_independent_of_visible_luminance() -> None:
    rng = np.random.default_rng(0)
    cloths = [cloth(rng, tuple(MATERIALS)) for _ in range(1500)]
    visible = np.array([luminance(each.colour) for each in cloths])
    infrared = np.array([each.reflectance for each in cloths])
    assert abs(np.corrcoef(visible, infrared)[0, 1]) < 0.08


def test_most_patterns_keep_their_polarity_in_infrared() -> None:
    rng = np.random.default_rng(0)
    cloths = [cloth(rng, tuple(MATERIALS)) for _ in range(1500)]
    lighter = np.array([luminance(each.accent) > luminance(each.colour) for each in cloths])
    brighter = np.array([each.accent_reflectance > each.reflectance for each in cloths])
    assert 0.55 < np.mean(lighter == brighter) < 0.85


def test_patterns_have_contrast_in_both_modalities() -> None:
    rng = np.random.default_rng(1)
    for _ in range(500):
        each = cloth(rng, tuple(MATERIALS))
        assert abs(luminance(each.accent) - luminance(each.colour)) > 0.3
        assert abs(each.accent_reflectance - each.reflectance) > 0.15
        assert min(each.reflectance, each.accent_reflectance) > 0
        assert max(each.reflectance, each.accent_reflectance) < 1


@pytest.mark.parametrize("pattern", PATTERNS)
def test_each_pattern_has_both_tones(pattern: Any) -> None:
    angle = np.linspace(-3.1, 3.1, 80, dtype=np.float32)[None, :]
    down = np.linspace(0.0, 0.7, 90, dtype=np.float32)[:, None]
    share = np.broadcast_to(second_tone(pattern, angle * 0.2, down, angle, 0.14), (90, 80))
    assert share.dtype == np.float32
    assert share.min() == 0.0
    assert share.max() == (0.0 if pattern == "plain" else 1.0)


def border(path: Path) -> NDArray[np.float32]:
    """The two upper corners, which show the scene and not the person, normalised for brightness and contrast."""
    image = Image.open(path).convert("L").resize((24, 48), Image.Resampling.BOX)
    pixels = np.asarray(image, np.float32)
    strip = np.concatenate([pixels[:9, :5].ravel(), pixels[:9, -5:].ravel()])
    return (strip - strip.mean()) / (strip.std() + 1.0)


def middle(path: Path) -> NDArray[np.float32]:
    """The trunk of the person, as colours."""
    pixels = np.asarray(Image.open(path).resize((24, 48), Image.Resampling.BOX), np.float32)
    return pixels[12:26, 9:15].reshape(-1, 3).mean(0)


def separation(root: Path, describe: Any) -> float:
    """How much closer images of one person are than images of two people, under the same visible camera.

    Returns the difference of the mean distances, in standard errors of the mean distance within one person.
    """
    same, other = [], []
    for camera in VISIBLE:
        jobs = [job for job in plan_synthetic(SYSU, "tiny").jobs if job.camera == camera]
        described = [describe(root / job.path) for job in jobs]
        for first, second in itertools.combinations(range(len(jobs)), 2):
            distance = float(np.linalg.norm(described[first] - described[second]))
            (same if jobs[first].identity == jobs[second].identity else other).append(distance)
    return float((np.mean(other) - np.mean(same)) / (np.std(other) / np.sqrt(len(same))))


def test_the_background_does_not_reveal_the_identity(tiny: Path) -> None:
    assert separation(tiny, border) < 3.0
    assert separation(tiny, middle) > 5.0, "the measure should notice the identity where it is visible"


def test_the_image_size_does_not_reveal_the_identity(tiny: Path) -> None:
    def size(path: Path) -> NDArray[np.float32]:
        with Image.open(path) as image:
            return np.array(image.size, np.float32)

    assert separation(tiny, size) < 3.0
