"""Reading SYSU-MM01: what its layout holds, what is ignored, and what is refused."""

import json
import shutil

import pytest
import small_setup
from fake_dataset import MadeImages

from lba_cli.data.samples import Sample
from lba_cli.datasets import Setting
from lba_cli.datasets.permutations import load_permutations
from lba_cli.datasets.sysu import MODALITY_OF_CAMERA, SYSU, read_sysu
from lba_cli.datasets.sysu_inventory import compare_with_inventory, sysu_inventory
from lba_cli.errors import DataError


@pytest.fixture
def copy(tiny, tmp_path):
    root = tmp_path / "copy"
    shutil.copytree(tiny, root)
    return root


def test_samples_follow_folders_and_lists(tiny):
    listing = read_sysu(tiny)
    assert listing.name == "synthetic-tiny"
    assert listing.permutations == tiny / "exp" / "rand_perm_cam.mat"
    assert not listing.notes
    for sample in listing.samples:
        camera, identity, _ = sample.path.split("/")
        assert camera == f"cam{sample.camera}"
        assert int(identity) == sample.identity
        assert (sample.modality == "infrared") == (sample.camera in (3, 6))
        assert (tiny / sample.path).is_file()
    ids = {split: {s.identity for s in listing.samples if s.split == split} for split in ("train", "test")}
    wanted = {
        name: set(map(int, (tiny / "exp" / f"{name}_id.txt").read_text().split(",")))
        for name in ("train", "val", "test")
    }
    assert ids == {"train": wanted["train"] | wanted["val"], "test": wanted["test"]}


def test_real_data_are_not_called_synthetic(copy):
    (copy / "synthetic.json").unlink()
    assert read_sysu(copy).name == "SYSU-MM01"


def test_other_files_are_ignored_and_counted(copy):
    wanted = read_sysu(copy).samples
    folder = copy / wanted[0].path
    for name in ("Thumbs.db", ".DS_Store", "._0001.jpg"):
        (folder.parent / name).write_bytes(b"x")
    (copy / "cam1" / "notes.txt").write_text("x")
    listing = read_sysu(copy)
    assert listing.samples == wanted
    assert listing.notes == ("4 files that are not images of an identity were ignored",)


def test_file_endings_may_be_in_upper_case(copy):
    first = copy / read_sysu(copy).samples[0].path
    first.rename(first.with_suffix(".JPG"))
    assert any(s.path.endswith(".JPG") for s in read_sysu(copy).samples)


def test_identities_without_images_are_reported(copy):
    (copy / "exp" / "val_id.txt").write_text("6,17,24,300,301")
    assert read_sysu(copy).notes == ("2 identities of the lists have no images: 300, 301",)


def test_identities_in_no_list_are_reported_but_for_those_of_the_real_data_set(copy):
    for identity in ("0009", "0026", "0400", "12"):  # the real lists leave out 9 and 26, and ours have 9
        (copy / "cam1" / identity).mkdir(exist_ok=True)
    wanted = ("2 identities are in none of the lists and are left out: 12, 400",)
    assert read_sysu(copy).notes == wanted


def test_why_nobody_has_an_image_is_said(copy):
    for camera in range(1, 7):
        (copy / f"cam{camera}").rename(copy / "away")
        (copy / f"cam{camera}").mkdir()
        (copy / "away").rename(copy / f"cam{camera}" / f"cam{camera}")
    with pytest.raises(
        DataError, match=r"has an image under cam1…cam6 \(6 folders of no identity were not searched: .*cam1/cam1, "
    ):
        read_sysu(copy)


def test_where_the_permutations_come_from_is_said(copy):
    (copy / "exp" / "rand_perm_cam.mat").unlink()
    source = MadeImages(read_sysu(copy).samples, "sysu")
    words = (
        "exp/rand_perm_cam.mat, which is missing",
        "authors' evaluation code, in its folder evaluation/data_split",
        "exp/",
    )
    for setting in (Setting(mode, shots, "official") for mode in SYSU.modes for shots in SYSU.shots):
        small_setup.refused(lambda setting=setting: SYSU.draw(source, setting), *words)
    small_setup.refused(lambda: load_permutations(copy / "exp" / "rand_perm_cam.mat"), "no such file", *words[1:])


@pytest.mark.parametrize("there", ["exp/Rand_Perm_Cam.mat", "exp/exp/rand_perm_cam.mat", "rand_perm_cam.mat"])
def test_permutations_at_another_place_are_noted(copy, there):
    (copy / there).parent.mkdir(exist_ok=True)
    (copy / "exp" / "rand_perm_cam.mat").rename(copy / there)
    listing = read_sysu(copy)
    assert listing.permutations is None
    (note,) = listing.notes
    assert note.startswith(f"exp/rand_perm_cam.mat is there as {there}: ")


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(
        DataError, match=r"nowhere: no such folder.*cam1…cam6 and exp.*lba prepare synthetic --layout sysu --output"
    ):
        read_sysu(tmp_path / "nowhere")


@pytest.mark.parametrize("missing", ["cam3", "exp"])
def test_a_folder_without_all_parts_is_refused(copy, missing):
    shutil.rmtree(copy / missing)
    with pytest.raises(DataError, match=rf"incomplete copy; missing: {missing}\..*lba prepare synthetic"):
        read_sysu(copy)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "test_id.txt:1: empty"),
        ("4,7,x1", "test_id.txt:1: 'x1' is not an identity"),
        ("4,,7", "test_id.txt:1: '' is not an identity"),
        ("4,7\n11,-2", "test_id.txt:2: '-2' is not an identity"),
        ("4,99999", "test_id.txt:1: '99999' is not an identity"),
        ("4,4", r"test_id.txt:1: identity 4 is already in test_id.txt:1"),
        ("4,2", r"test_id.txt:1: identity 2 is already in train_id.txt:1"),
    ],
)
def test_malformed_lists_of_identities_are_refused(copy, text, message):
    (copy / "exp" / "test_id.txt").write_text(text)
    with pytest.raises(DataError, match=message):
        read_sysu(copy)


def test_missing_and_binary_lists_of_identities_are_refused(copy):
    (copy / "exp" / "val_id.txt").write_bytes(b"\x80\x02")
    with pytest.raises(DataError, match=r"val_id\.txt: line 1 is not UTF-8 text \(byte 0x80\)"):
        read_sysu(copy)
    (copy / "exp" / "val_id.txt").unlink()
    with pytest.raises(DataError, match=r"incomplete copy; missing: exp/val_id\.txt"):
        read_sysu(copy)


def test_lists_may_end_with_a_comma_and_a_line_break(copy):
    (copy / "exp" / "test_id.txt").write_text("4, 7,11,\r\n")
    assert {s.identity for s in read_sysu(copy).samples if s.split == "test"} == {4, 7, 11}


def test_a_damaged_mark_of_synthetic_data_is_refused(copy):
    (copy / "synthetic.json").write_text(json.dumps(["tiny"]))
    with pytest.raises(DataError, match=r"synthetic\.json: damaged"):
        read_sysu(copy)


def test_the_inventory_has_the_published_counts():
    entries = sysu_inventory()
    trained = [e for e in entries if e.group in ("train", "val")]
    assert sum(e.images[c] for e in trained for c in (1, 2, 4, 5)) == 22258
    assert sum(e.images[c] for e in trained for c in (3, 6)) == 11909
    assert sum(e.images[c] for e in entries if e.group == "test" for c in (3, 6)) == 3803
    assert len(trained) == 395


def test_a_copy_is_compared_with_the_inventory():
    complete = [
        Sample(f"{e.identity}/{camera}/{n}.jpg", e.identity, camera, MODALITY_OF_CAMERA[camera], "test")
        for e in sysu_inventory()
        for camera, count in e.images.items()
        for n in range(count)
    ]
    assert compare_with_inventory(complete) == []
    first = next(e.identity for e in sysu_inventory() if e.group == "test" and e.images[4])
    complete.remove(next(s for s in complete if (s.identity, s.camera) == (first, 4)))
    (shortfall,) = compare_with_inventory(complete)
    assert (shortfall.camera, shortfall.expected - shortfall.found, shortfall.identities) == (4, 1, (first,))
