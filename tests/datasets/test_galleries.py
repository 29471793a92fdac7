"""Who is drawn, on cases small enough to write down; and the full data set's counts."""

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


def test_community_walks_identities_then_cameras():
    random.seed(4)
    wanted = [random.choice(["e", "f"]), random.choice(["a", "b", "c"]), random.choice(["d"])]
    assert community_gallery(SMALL, (1, 2, 4, 5), trial=4) == wanted


def test_community_multi_shot_takes_all_of_a_small_directory():
    random.seed(0)
    wanted = [*random.sample(["e", "f"], 2), *random.sample(["a", "b", "c"], 3)]
    assert community_gallery(SMALL, (1, 2), trial=0, shots=10) == wanted


def test_the_draw_leaves_pythons_generator_alone():
    random.seed(1)
    before = random.getstate()
    community_gallery(SMALL, (1, 2), trial=0)
    assert random.getstate() == before


def test_official_walks_cameras_then_identities():
    permutations = {
        (9, 1): np.array([[3, 1, 2]] * 10),
        (2, 1): np.array([[2, 1]] * 10),
        (9, 4): np.array([[1]] * 10),
    }
    assert official_gallery(SMALL, permutations, (4, 1), trial=0) == ["f", "c", "d"]
    assert official_gallery(SMALL, permutations, (1,), trial=3, shots=10) == ["f", "e", "c", "a", "b"]


def test_official_refuses_an_incomplete_copy():
    permutations = {(9, 1): np.array([[1, 2, 3, 4]] * 10), (2, 1): np.array([[1, 2]] * 10)}
    with pytest.raises(DataError, match=r"identity 9 under camera 1 is of 4 images.*has 3"):
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
def test_gallery_sizes_of_the_complete_data_set(mode, shots, size):
    directories = {
        (entry.identity, camera): list(range(count))
        for entry in sysu_inventory()
        if entry.trial == "test"
        for camera, count in entry.images.items()
        if count
    }
    for trial in range(10):
        assert len(community_gallery(directories, GALLERY_CAMERAS[mode], trial, IMAGES_PER_CAMERA[shots])) == size


def test_damaged_permutations(tmp_path):
    (tmp_path / "text.mat").write_text("no matrix")
    savemat(tmp_path / "other.mat", {"something": np.ones(3)})
    cells = np.empty((6, 1), object)
    for camera in range(6):
        cells[camera, 0] = np.empty((1, 1), object)
        cells[camera, 0][0, 0] = np.array([[1, 1, 2]] * 10)
    savemat(tmp_path / "repeated.mat", {"rand_perm_cam": cells})
    for name, message in {
        "missing.mat": "no such file",
        "text.mat": "not the protocol's permutations",
        "other.mat": "not the protocol's permutations",
        "repeated.mat": "camera 1, identity 1: not 10 permutations",
    }.items():
        with pytest.raises(DataError, match=message):
            load_permutations(tmp_path / name)
