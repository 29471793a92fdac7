"""Drawing galleries: small cases written down by hand, and the sizes for the complete SYSU-MM01."""

import random

import numpy as np
import pytest
from scipy.io import savemat

from lba_cli.datasets.galleries import IMAGES_PER_CAMERA
from lba_cli.datasets.sysu import GALLERY_CAMERAS
from lba_cli.datasets.sysu_inventory import sysu_inventory
from lba_cli.errors import DataError
from lba_cli.evaluation import community_gallery, load_permutations, official_gallery

SMALL = {(9, 1): ["a", "b", "c"], (9, 4): ["d"], (2, 1): ["e", "f"], (2, 3): ["query"], (9, 2): []}


def test_community_galleries_go_through_identities_then_cameras():
    random.seed(4)
    wanted = [random.choice(["e", "f"]), random.choice(["a", "b", "c"]), random.choice(["d"])]
    assert community_gallery(SMALL, (1, 2, 4, 5), trial=4) == wanted


def test_community_galleries_take_all_images_of_a_small_directory():
    random.seed(0)
    wanted = [*random.sample(["e", "f"], 2), *random.sample(["a", "b", "c"], 3)]
    assert community_gallery(SMALL, (1, 2), trial=0, shots=10) == wanted


def test_drawing_does_not_touch_pythons_global_generator():
    random.seed(1)
    before = random.getstate()
    community_gallery(SMALL, (1, 2), trial=0)
    assert random.getstate() == before


def test_official_galleries_go_through_cameras_then_identities():
    permutations = {
        (9, 1): np.array([[3, 1, 2]] * 10),
        (2, 1): np.array([[2, 1]] * 10),
        (9, 4): np.array([[1]] * 10),
    }
    assert official_gallery(SMALL, permutations, (4, 1), trial=0) == ["f", "c", "d"]
    assert official_gallery(SMALL, permutations, (1,), trial=3, shots=10) == ["f", "e", "c", "a", "b"]


def test_official_galleries_need_a_complete_copy():
    permutations = {(9, 1): np.array([[1, 2, 3, 4]] * 10), (2, 1): np.array([[1, 2]] * 10)}
    with pytest.raises(DataError, match=r"has 3 images of identity 9 under camera 1, .* expects 4"):
        official_gallery(SMALL, permutations, (1,), trial=0)


@pytest.mark.parametrize(
    ("mode", "shots", "size"),
    [
        ("all-search", "single", 301),
        ("indoor-search", "single", 112),
        ("all-search", "multi", 3010),
        ("indoor-search", "multi", 1120),
    ],
)
def test_galleries_of_the_complete_data_set_have_the_published_sizes(mode, shots, size):
    directories = {
        (entry.identity, camera): list(range(count))
        for entry in sysu_inventory()
        if entry.group == "test"
        for camera, count in entry.images.items()
        if count
    }
    for number in range(10):
        assert len(community_gallery(directories, GALLERY_CAMERAS[mode], number, IMAGES_PER_CAMERA[shots])) == size


def test_damaged_permutations_are_refused(tmp_path):
    (tmp_path / "text.mat").write_text("no matrix")
    savemat(tmp_path / "other.mat", {"something": np.ones(3)})
    cells = np.empty((6, 1), object)
    for camera in range(6):
        cells[camera, 0] = np.empty((1, 1), object)
        cells[camera, 0][0, 0] = np.array([[1, 1, 2]] * 10)
    savemat(tmp_path / "repeated.mat", {"rand_perm_cam": cells})
    for name, message in {
        "missing.mat": "no such file",
        "text.mat": "not the permutations of the official protocol",
        "other.mat": "not the permutations of the official protocol",
        "repeated.mat": "camera 1, identity 1: not 10 permutations",
    }.items():
        with pytest.raises(DataError, match=message):
            load_permutations(tmp_path / name)
