"""What isn't an image of an identity is counted with the reason; links are followed."""

import pytest

from lba_cli.datasets.scan import Scan, unlisted_notes

LISTED = {1: ("train", "list:1"), 2: ("test", "list:1")}


@pytest.fixture
def root(tmp_path):
    for name in ("cam1/0001/0001.jpg", "cam1/0001/0002.JPG", "cam1/0002/0001.webp"):
        touch(tmp_path / name)
    return tmp_path


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def scanned(root):
    scan = Scan()
    samples = sorted(sample.path for sample in scan.samples(root, "cam1", 1, "visible", LISTED))
    return samples, scan.notes(), scan.unlisted


def test_images_of_any_format_that_is_read_are_found(root):
    assert scanned(root) == (["cam1/0001/0001.jpg", "cam1/0001/0002.JPG", "cam1/0002/0001.webp"], [], set())


def test_files_of_other_formats_are_counted_by_their_endings(root):
    for name in ("0003.heic", "0004.HEIC", "0005.npy", "0006"):
        touch(root / "cam1/0001" / name)
    samples, notes, _ = scanned(root)
    assert len(samples) == 3
    assert notes == [
        "4 files of formats that are not read were ignored: 1 without an ending, 2 ending in .heic, 1 ending in .npy"
    ]


def test_folders_that_are_not_searched_are_named(root):
    for name in ("cam1/cam1/0002", "cam1/0001/0001", "cam1/person 3", "cam1/0001/.cache", "cam1/0002/more"):
        touch(root / name / "1.jpg")
    _, notes, _ = scanned(root)
    named = ", ".join(str(root / name) for name in ("cam1/0001/0001", "cam1/0002/more", "cam1/cam1"))
    assert notes == [
        "1 file that is not an image of an identity was ignored",
        f"4 folders of no identity were not searched: {named} and 1 more",
    ]


def test_links_are_followed_and_broken_ones_are_named(root):
    (root / "cam1/0001").rename(root / "disk")
    (root / "cam1/0001").symlink_to(root / "disk")
    (root / "cam1/0002/link.jpg").symlink_to(root / "disk/0001.jpg")
    (root / "cam1/0003").symlink_to(root / "gone")
    (root / "cam1/0002/0009.jpg").symlink_to(root / "cam1/0002/0009.jpg")
    samples, notes, _ = scanned(root)
    assert samples == ["cam1/0001/0001.jpg", "cam1/0001/0002.JPG", "cam1/0002/0001.webp", "cam1/0002/link.jpg"]
    assert notes == [f"2 broken links were ignored: {root / 'cam1/0002/0009.jpg'}, {root / 'cam1/0003'}"]


def test_unlisted_identities_are_collected(root):
    for name in ("0007", "12"):
        touch(root / "cam1" / name / "1.jpg")
    samples, notes, unlisted = scanned(root)
    assert (len(samples), notes, unlisted) == (3, [], {7, 12})


def test_files_in_no_list_are_counted_behind_links_and_once(root):
    (root / "cam1/0001").rename(root / "disk")
    for name in ("0001", "0003"):
        (root / "cam1" / name).symlink_to(root / "disk")
    (root / "disk/loop").symlink_to(root / "cam1")
    assert unlisted_notes(root, ["cam1"], {"cam1/0002/0001.webp"}) == ["2 files that are in no list were ignored"]
    listed = {"cam1/0001/0001.jpg", "cam1/0002/0001.webp", "cam1/0003/0001.jpg"}
    assert unlisted_notes(root, ["cam1"], listed) == ["1 file that is in no list was ignored"]
