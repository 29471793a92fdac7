"""Patterns of paths: what they tell, and which ones are refused."""

import pytest
from small_setup import refused

from lba_cli.config import ConfigLayer, resolve_config
from lba_cli.data.samples import NO_CAMERA
from lba_cli.datasets.folder import read_folder
from lba_cli.datasets.folder_pattern import PathPattern
from lba_cli.datasets.folder_split import FolderOptions
from lba_cli.errors import ConfigError


@pytest.mark.parametrize(
    ("pattern", "path", "wanted"),
    [
        ("<modality>/<identity>_c<camera>s*", "visible/0001_c1s1_000151_01.jpg", ("visible", "0001", 1, None)),
        ("<modality>/<identity>_c<camera>s*", "infrared/-1_c12s3_000151_01.jpg", ("infrared", "-1", 12, None)),
        ("<modality>/<identity>_c<camera>*", "visible/0000_c1s1_000151_01.jpg", ("visible", "0000", 1, None)),
        ("<modality>/<identity>/cam<camera>/*", "RGB/anna b/cam07/x.png", ("visible", "anna b", 7, None)),
        ("<modality>/<split>/<identity>/*", "ir/Test/007/x.png", ("infrared", "007", NO_CAMERA, "test")),
        ("<identity>_<modality>_<camera>.*", "anna_nir_3.png", ("infrared", "anna", 3, None)),
        ("**/<identity>/<modality>/*", "a/b/anna/vis/x.png", ("visible", "anna", NO_CAMERA, None)),
        ("**/<identity>/<modality>/*", "anna/vis/x.png", ("visible", "anna", NO_CAMERA, None)),
        ("./<modality>/<identity>/**", "thermal/anna/s1/t2/x_c4.png", ("infrared", "anna", 4, None)),
        ("<modality>/<identity>/<identity>_c<camera>_*", "visible/a_c1/a_c1_c2_9.png", ("visible", "a_c1", 2, None)),
        ("<modality>/<identity>.*", "visible/x (1)+[2].png", ("visible", "x (1)+[2]", NO_CAMERA, None)),
    ],
)
def test_a_path_is_described(pattern, path, wanted):
    image = PathPattern(pattern).image(path)
    assert (image.modality, image.identity, image.camera, image.split) == wanted
    assert image.path == image.place == path


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("<modality>/<identity>/*", "visible/a/deeper/1.png"),
        ("<modality>/<identity>/*", "lidar/a/1.png"),
        ("<modality>/<identity>_c<camera>_*", "visible/a_c12s1_3.png"),
        ("<modality>/<identity>/<identity>_*", "visible/a/b_1.png"),
        ("<modality>/a.c/<identity>/*", "visible/abc/a/1.png"),
        ("<modality>/<identity>_*.jpg", "visible/a_1.png"),
        ("<modality>/<identity>_*", "more/visible/a_1.png"),
    ],
)
def test_a_path_of_another_form_is_not_described(pattern, path):
    assert PathPattern(pattern).image(path) is None


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("visible/<identity>/*", "should contain <modality>, as <modality>/<identity>_c<camera>_* does"),
        ("<modality>/*", "should contain <identity>"),
        ("{modality}/{identity}/*", "should contain <modality>"),
        ("<modality>/<person>/*", "should be made of <modality>, <identity>, <camera>, <split>, * and other text"),
        ("<modality>/<identity>", "text that ends the identity should follow <identity>"),
        ("<modality>/<identity>*", "text that ends the identity should follow <identity>"),
        ("<modality>/<identity><camera>_*", "text that ends the identity should follow <identity>"),
        ("/data/<modality>/<identity>/*", "should be a path relative to the root, with forward slashes"),
        ("../<modality>/<identity>/*", "should be a path relative to the root"),
        ("<modality>\\\\<identity>_*", "should be a path relative to the root"),
        ("<modality>/<identity>/" + "x" * 200, "should be a path relative to the root"),
    ],
)
def test_a_pattern_that_can_not_work_is_refused_with_its_place(pattern, words):
    assignment = f'data.pattern="{pattern}"'
    with pytest.raises(ConfigError) as caught:
        resolve_config([ConfigLayer.from_assignments([assignment])])
    assert f": data.pattern: {words}" in str(caught.value)
    assert str(caught.value).startswith("--set data.pattern=")


def test_a_pattern_needs_no_quotes_in_a_configuration():
    config = resolve_config([ConfigLayer.from_assignments(["data.pattern=<modality>/<identity>_c<camera>_*"])])
    assert config.data.model_extra == {"pattern": "<modality>/<identity>_c<camera>_*"}


def test_images_that_do_not_match_are_counted(files):
    good = [f"{modality}/{name}_1.png" for modality in ("vis", "ir") for name in "ab"]
    options = FolderOptions(pattern="<modality>/<identity>_*")
    root = files(*good, "vis/loose.png", "other/x_1.png", "vis/notes.txt")
    listing = read_folder(root, options)
    assert {sample.path for sample in listing.samples} == set(good)
    assert listing.notes[1:] == (
        "folders that don't match the beginning of data.pattern=<modality>/<identity>_* are not read: 'other'",
        "data.pattern=<modality>/<identity>_* doesn't match 1 of 5 images (such as vis/loose.png), so it is left out",
    )
    words = (
        "no image matches data.pattern=<modality>/x/<identity>_*; 5 other images were found (such as ir/a_1.png)",
        "1 ending in .txt",
    )
    refused(lambda: read_folder(root, FolderOptions(pattern="<modality>/x/<identity>_*")), *words)


def test_a_root_without_images_or_without_a_folder_is_refused(files, tmp_path):
    options = FolderOptions(pattern="<modality>/<identity>_*")
    refused(lambda: read_folder(files(), options), "no image matches")
    refused(lambda: read_folder(tmp_path / "nowhere", options), "no such folder; your own images should be there")


def test_the_splits_of_folders_are_taken(files):
    paths = [
        f"{m}/{split}/{split}{i}/1.png" for m in ("visible", "infrared") for split in ("train", "test") for i in (1, 2)
    ]
    listing = read_folder(files(*paths), FolderOptions(pattern="<modality>/<split>/<identity>/*"))
    assert {(sample.path.split("/")[1], sample.split) for sample in listing.samples} == {
        ("train", "train"),
        ("test", "test"),
    }


def test_a_person_in_two_splits_is_refused(files):
    paths = [f"{m}/{split}/a/1.png" for m in ("visible", "infrared") for split in ("train", "test")]
    options = FolderOptions(pattern="<modality>/<split>/<identity>/*")
    refused(
        lambda: read_folder(files(*paths), options), "identity 'a' is in the split", "/test/a/1.png", "/train/a/1.png"
    )


def test_folders_of_links_to_raw_data_beside_them_are_read(files):
    root = files(
        *(f"raw/{name}/{number}.png" for name in "ab" for number in (1, 2)), "visible/c/1.png", "infrared/c/1.png"
    )
    for modality, name in (("visible", "a"), ("infrared", "b")):
        (root / modality / name).symlink_to(root / "raw" / name)
    listing = read_folder(root, FolderOptions(pattern="<modality>/<identity>/*"))
    assert {sample.path for sample in listing.samples if "c" not in sample.path.split("/")} == {
        f"{modality}/{name}/{number}.png"
        for modality, name in (("visible", "a"), ("infrared", "b"))
        for number in (1, 2)
    }
    assert listing.notes[0].endswith("are not read: 'raw'")


@pytest.mark.parametrize(
    "pattern", ["<identity>_<modality>_<camera>.*", "<identity>_<modality>/*", "**/<modality>/<identity>/*"]
)
def test_patterns_that_begin_in_other_ways_are_read(files, pattern):
    paths = [
        pattern.replace("**", "day/one")
        .replace("<modality>", m)
        .replace("<identity>", i)
        .replace("<camera>", "3")
        .replace("*", "1.png")
        for m in ("rgb", "ir")
        for i in ("anna", "bo")
    ]
    paths = [path.replace(".1.png", ".png") for path in paths]
    listing = read_folder(files(*paths), FolderOptions(pattern=pattern))
    assert {sample.path for sample in listing.samples} == set(paths)
    assert listing.notes == ()
