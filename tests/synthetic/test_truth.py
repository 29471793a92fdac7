"""The truth maps of synthetic people."""

import json
import math
import shutil
from dataclasses import replace

import numpy as np
import pytest
from oracles.truth import seen_at
from PIL import Image, PngImagePlugin

from lba_cli.datasets.synthesize import plan_synthetic, write_synthetic
from lba_cli.datasets.sysu import SYSU
from lba_cli.errors import DataError
from lba_cli.evaluation.true_places import MOST_ALONG, MOST_ANGLE, corresponding, places_of
from lba_cli.reporting import Silent
from lba_cli.synthetic import PRESETS
from lba_cli.synthetic.body import random_pose, skeleton
from lba_cli.synthetic.dressing import dress
from lba_cli.synthetic.parts import PARTS
from lba_cli.synthetic.people import draw_person
from lba_cli.synthetic.rendering import render
from lba_cli.synthetic.truth import truth_of
from lba_cli.synthetic.truth_files import FOLDER, read_truth, truth_path, write_truth

FRAME = PRESETS["tiny"].frame
STEP = 1e-4  # half a step of the files, in shares of the height; angles are rounded to 0.1°


def rendered(identity, camera, seed=0, frame=FRAME):
    person = draw_person(0, identity)
    return person, render(person, camera, frame, 0, np.random.default_rng((seed, identity, camera)))


def in_image(figure, rendering):
    """The view of a figure in the image, which is smaller than the painted picture."""
    factor = rendering.supersampling
    view = figure.view
    return replace(view, foot_x=view.foot_x / factor, foot_y=view.foot_y / factor, scale=view.scale / factor)


def oracle(person, rendering, row, column):
    """What a pixel shows: the part, the share along it and the angle; None where the person isn't seen."""
    x, y = column + 0.5, row + 0.5
    if rendering.obstacle:
        block = np.asarray(rendering.obstacle)[2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
        if (block > 0).sum() >= 2:
            return None
    if any(seen_at(figure, in_image(figure, rendering), x, y) for figure in rendering.passers_by):
        return None
    found = seen_at(rendering.person, in_image(rendering.person, rendering), x, y)
    return found and (found[0], found[1] / person.build.stature, found[2])


@pytest.mark.parametrize(
    "frame", [FRAME, pytest.param(replace(FRAME, loose=True), marks=pytest.mark.slow)], ids=["usual", "loose"]
)
def test_every_pixel_shows_what_the_geometry_says(frame):
    """Random pixels of images under all cameras, many of them on the person, some behind obstacles and passers-by."""
    random, compared, hidden = np.random.default_rng(0), 0, 0
    for identity in range(40):
        person, rendering = rendered(identity, 1 + identity % 6, frame=frame)
        truth = truth_of(rendering, person.build.stature)
        hidden += bool(rendering.obstacle or rendering.passers_by)
        height, width = truth.part.shape
        for row, column in zip(random.integers(height, size=60), random.integers(width, size=60), strict=True):
            expected = oracle(person, rendering, row, column)
            part = int(truth.part[row, column])
            assert (part > 0) == bool(expected), (identity, row, column)
            if expected:
                compared += 1
                assert PARTS[part - 1] == expected[0]
                assert truth.along[row, column] == pytest.approx(expected[1], abs=1e-9)
                assert math.remainder(truth.angle[row, column] - expected[2], 2 * math.pi) == pytest.approx(0, abs=1e-9)
    assert compared > 300
    assert hidden > 3


@pytest.mark.parametrize("count", [10, pytest.param(200, marks=pytest.mark.long)])
def test_positions_of_pairs_correspond_as_the_geometry_says(count):
    agreeing = 0
    for number in range(count):
        identity = number % 50
        sides = [rendered(identity, camera, seed=number) for camera in (3, 1 + number % 2)]
        places = [places_of(truth_of(rendering, person.build.stature), 8, 4) for person, rendering in sides]
        true = corresponding(*places)
        points = [[_point_at(*side, *divmod(position, 4)) for position in range(32)] for side in sides]
        expected = [[same_point(a, b) for b in points[1]] for a in points[0]]
        assert true.tolist() == expected
        agreeing += np.sum(expected)
    assert agreeing > count


def _point_at(person, rendering, row, column):
    width, height = rendering.image.size
    return oracle(person, rendering, int((row + 0.5) * height / 8), int((column + 0.5) * width / 4))


def same_point(first, second):
    if not first or not second or first[0] != second[0]:
        return False
    turned = abs(math.remainder(first[2] - second[2], 2 * math.pi))
    return abs(first[1] - second[1]) <= MOST_ALONG and turned <= MOST_ANGLE


def test_a_person_has_at_most_one_solid_of_each_part():
    names = set()
    for identity in range(300):
        person = draw_person(0, identity)
        solids = dress(person, skeleton(person.build, random_pose(np.random.default_rng(identity))))
        parts = [solid.part for solid in solids]
        assert len(parts) == len(set(parts))
        names.update(parts)
    assert names == set(PARTS)


def test_images_are_the_same_with_and_without_truth(tiny, true_people):
    images = sorted(path.relative_to(true_people) for path in true_people.glob("cam*/*/*.jpg"))
    assert len(images) == 124
    assert all((true_people / path).read_bytes() == (tiny / path).read_bytes() for path in images)
    assert len(list((true_people / FOLDER).rglob("*.png"))) == len(images)


@pytest.mark.slow
def test_a_data_set_with_truth_has_a_map_of_every_image(tmp_path):
    write_synthetic(SYSU, "tiny", tmp_path / "people", truth=True, workers=2, listener=Silent())
    for job in plan_synthetic(SYSU, "tiny").jobs:
        with Image.open(tmp_path / "people" / job.path) as image:
            assert read_truth(tmp_path / "people", job.path).part.shape == image.size[::-1]
    assert "--truth" in (tmp_path / "people" / "README.txt").read_text()


def test_a_map_that_is_read_equals_the_one_that_was_written(tmp_path):
    person, rendering = rendered(4, 3)
    rendering.image.save(tmp_path / "a.jpg")
    truth = truth_of(rendering, person.build.stature)
    write_truth(tmp_path, "a.jpg", truth)
    back = read_truth(tmp_path, "a.jpg")
    assert (back.part == truth.part).all()
    assert np.abs(back.along - truth.along).max() <= STEP / 2 + 1e-9
    assert np.abs(np.angle(np.exp(1j * (back.angle - truth.angle)))).max() <= np.radians(0.05) + 1e-9
    assert back.height == pytest.approx(truth.height, abs=1e-4)


@pytest.fixture
def pair(true_people, tmp_path):
    """A folder with one image and its map, which a test may damage."""
    image = min(path.relative_to(true_people) for path in true_people.glob("cam1/*/*.jpg"))
    for path in (image, truth_path(true_people, str(image)).relative_to(true_people)):
        (tmp_path / path).parent.mkdir(parents=True)
        shutil.copyfile(true_people / path, tmp_path / path)
    return tmp_path, str(image)


def refused(root, image):
    with pytest.raises(DataError) as caught:
        read_truth(root, image)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_missing_map_is_named(pair):
    root, image = pair
    truth_path(root, image).unlink()
    assert f"{truth_path(root, image)}: missing: draw the people again" in refused(root, image)


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n" + bytes(40)])
def test_a_damaged_map_is_refused(pair, content):
    root, image = pair
    truth_path(root, image).write_bytes(content)
    assert "a damaged truth map" in refused(root, image)


def test_a_truncated_map_is_refused(pair):
    root, image = pair
    content = truth_path(root, image).read_bytes()
    truth_path(root, image).write_bytes(content[: len(content) // 2])
    assert "a damaged truth map" in refused(root, image)


def test_a_map_of_another_image_is_refused(pair):
    root, image = pair
    Image.open(root / image).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(root / image)
    assert "belongs to another image" in refused(root, image)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"version": 2}, "has version 2 of the format, not 1"),
        ({"height": -1}, "a damaged truth map"),
        ({"height": "tall"}, "a damaged truth map"),
        ({"image": "0" * 16}, "belongs to another image"),
    ],
)
def test_wrong_facts_are_refused(pair, facts, words):
    root, image = pair
    path = truth_path(root, image)
    with Image.open(path) as opened:
        opened.load()
        info = PngImagePlugin.PngInfo()
        info.add_text("lba-truth", json.dumps({**json.loads(opened.text["lba-truth"]), **facts}))
        opened.save(path, pnginfo=info)
    assert words in refused(root, image)


def test_a_part_that_does_not_exist_is_refused(pair):
    root, image = pair
    path = truth_path(root, image)
    with Image.open(path) as opened:
        info = PngImagePlugin.PngInfo()
        info.add_text("lba-truth", opened.text["lba-truth"])
        planes = np.array(opened)
    planes[0, 0] = len(PARTS) + 1
    Image.fromarray(planes).save(path, pnginfo=info)
    assert "a damaged truth map" in refused(root, image)
