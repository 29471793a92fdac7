"""Which images a command line names, in which order, and which other files are counted."""

import glob
import os
from pathlib import Path

import pytest
from fake_gallery import write_image
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lba_cli.errors import DataError
from lba_cli.search.image_paths import absolute_path, find_images, is_meant_by


@pytest.fixture
def tree(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b/2.png", "b/deep/1.JPG", "a.jpg", "b/.hidden/3.png", "c[1].png"):
        write_image(tmp_path / name, 0) if not name.endswith("JPG") else _jpg(tmp_path / name)
    (tmp_path / "b" / "Thumbs.db").touch()
    (tmp_path / "b" / "._2.png").touch()
    return tmp_path


def _jpg(path):
    write_image(path.with_suffix(".png"), 0)
    path.with_suffix(".png").rename(path)


def test_folders_are_walked_and_other_files_counted(tree):
    found = find_images(["b", "a.jpg"])
    assert found.paths == ["a.jpg", "b/2.png", "b/deep/1.JPG"]
    assert found.passed_over == {"ending in .db": 1, "hidden": 1}


def test_an_image_that_is_named_twice_is_taken_once_whatever_the_order(tree):
    assert find_images(["b", "./a.jpg", "a.jpg", "b/2.png"]).paths == find_images(["a.jpg", "b"]).paths


@pytest.mark.parametrize("pattern", ["b/**/*", "b/**", "b*"])
def test_globs_take_files_and_folders(tree, pattern):
    assert find_images([pattern]).paths == ["b/2.png", "b/deep/1.JPG"]


def test_an_existing_file_is_not_a_glob(tree):
    assert find_images(["c[1].png"]).paths == ["c[1].png"]


def test_a_named_file_is_an_image_whatever_its_suffix(tree):
    assert find_images(["b/Thumbs.db"]).paths == ["b/Thumbs.db"]


@pytest.mark.parametrize(
    ("name", "words"),
    [("nowhere", "'nowhere': no such image or folder"), ("*.tif", "matches no file"), ("empty", "no images found")],
)
def test_names_that_match_nothing_are_refused_in_one_line(tree, name, words):
    (tree / "empty").mkdir()
    with pytest.raises(DataError, match=words.replace("*", r"\*")):
        find_images(["b", name] if name != "empty" else [name])


def test_names_that_are_not_utf_8_are_refused(tree):
    (tree / "a.jpg").rename(tree / os.fsdecode(b"a\xff.jpg"))
    with pytest.raises(DataError, match="is not UTF-8"):
        find_images(["."])


def test_absolute_paths_keep_links(tree):
    (tree / "link").symlink_to(tree / "b")
    assert absolute_path("x/../link/2.png") == f"{tree}/link/2.png"


def test_an_empty_name_is_not_the_current_folder(tree):
    with pytest.raises(DataError, match="name of an image or folder is empty"):
        find_images([""])


def test_folders_that_a_pattern_with_two_stars_matches_are_walked(tree):
    write_image(tree / "x/y/b/5.png", 0)
    (tree / "x/y/b/notes.txt").touch()
    found = find_images(["**/b"])
    assert found.paths == ["b/2.png", "b/deep/1.JPG", "x/y/b/5.png"]
    assert found.passed_over == {"ending in .db": 1, "hidden": 1, "ending in .txt": 1}


def test_linked_folders_are_followed_once_each(tree):
    write_image(tree / "elsewhere/deep/7.png", 0)
    (tree / "b" / "cam2").symlink_to(tree / "elsewhere")
    (tree / "b" / "cam3").symlink_to(tree / "elsewhere" / "deep")  # is in cam2 already
    found = find_images(["b"])
    assert found.paths == ["b/2.png", "b/cam2/deep/7.png", "b/deep/1.JPG"]
    assert found.notes()[-1].startswith("1 link to a folder was not followed (such as b/cam3)")


def test_a_folder_that_is_a_link_itself_is_walked(tree):
    (tree / "gallery").symlink_to(tree / "b")
    assert find_images(["gallery"]).paths == ["gallery/2.png", "gallery/deep/1.JPG"]


@pytest.mark.parametrize("name", ["b", "b/**/*", "**/b", "b*"])
def test_links_do_not_lead_in_circles(tree, name):
    write_image(tree / "other/8.png", 0)
    (tree / "b" / "deep" / "up").symlink_to(tree / "b")
    (tree / "b" / "root").symlink_to(tree)
    (tree / "b" / "other").symlink_to(tree / "other")
    (tree / "other" / "back").symlink_to(tree / "b")
    assert find_images([name]).paths == ["b/2.png", "b/deep/1.JPG", "b/other/8.png"]


@pytest.mark.parametrize("name", ["home", "home*"])
def test_a_named_link_to_a_folder_above_is_walked(tree, monkeypatch, name):
    (tree / "b" / "home").symlink_to(tree)
    monkeypatch.chdir(tree / "b")
    assert find_images([name]).paths == ["home/a.jpg", "home/b/2.png", "home/b/deep/1.JPG", "home/c[1].png"]


def test_a_folder_that_only_a_link_brings_under_a_pattern_is_read(tree):
    write_image(tree / "elsewhere/9.png", 0)
    (tree / "x").mkdir()
    (tree / "x" / "cam").symlink_to(tree / "elsewhere")
    assert find_images(["**/cam"]).paths == ["x/cam/9.png"]


def test_a_link_to_a_folder_within_is_no_second_path(tree):
    (tree / "b" / "again").symlink_to(tree / "b" / "deep")
    found = find_images(["b"])
    assert found.paths == ["b/2.png", "b/deep/1.JPG"]
    assert found.unfollowed == {"b/again"}


@pytest.mark.parametrize("ending", ["heic", "npy", "RAW"])
def test_the_endings_of_a_folder_without_images_are_named(tree, ending):
    (tree / "phone").mkdir()
    for number in range(3):
        (tree / "phone" / f"{number}.{ending}").touch()
    with pytest.raises(
        DataError, match=rf"'phone': no images found; 3 files were passed over \(3 ending in .{ending.lower()}\)"
    ):
        find_images(["phone"])


SPLITS = st.sampled_from(["a", "ab", ".h", "c[1]"])
PATTERN_PARTS = st.sampled_from(["a", "a*", "*", "**", "?", ".*", "c[[]1]", "*.png", "[ab]*", ".."])


@settings(max_examples=150, deadline=None)
@given(
    files=st.lists(st.tuples(SPLITS, SPLITS, st.sampled_from(["a.png", ".b.png", "c.png"])), min_size=1, max_size=6),
    pattern=st.lists(PATTERN_PARTS, min_size=1, max_size=4),
    slash=st.booleans(),
)
def test_a_pattern_matches_the_same_images_of_an_index_as_on_the_disk(tmp_path_factory, files, pattern, slash):
    root = tmp_path_factory.mktemp("made") / "with [brackets]" / "deep"
    for parts in files:
        path = root.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    name = "/".join(pattern) + "/" * slash
    everything = {str(path) for path in root.parent.rglob("*.png")}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        assume(glob.has_magic(name) and ".." not in pattern[1:])
        try:
            wanted = {absolute_path(path) for path in find_images([name]).paths}
        except DataError:
            wanted = set()
        named_hidden = {path for path in everything if Path(path).name.startswith(".")}  # a pattern never finds them
        assert set(filter(is_meant_by(name), everything)) - named_hidden == wanted
