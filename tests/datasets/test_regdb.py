"""Reading RegDB: its ten trials, and lists that contradict each other or the files on disk."""

import re

import pytest
import small_setup

from lba_cli.datasets.regdb import LAYOUT, read_regdb
from lba_cli.errors import DataError


@pytest.fixture
def copy(hollow):
    return hollow("regdb")


def edit(root, name, change):
    """Rewrite the lines of a list by a function of them."""
    path = root / "idx" / f"{name}.txt"
    lines = path.read_text().splitlines()
    path.write_text("".join(f"{line}\n" for line in change(lines)))
    return path


def refused(root, *words):
    return small_setup.refused(lambda: read_regdb(root), *words)


def test_samples_follow_the_lists(trees):
    listing = read_regdb(trees["regdb"])
    assert listing.dataset == "regdb"
    assert {s.trial for s in listing.samples} == set(range(1, 11))
    found = {(s.trial, s.split, s.modality, s.path, s.identity) for s in listing.samples}
    assert len(found) == len(listing.samples) == 40 * 120
    for trial, split, (modality, word) in [(1, "train", ("visible", "visible")), (10, "test", ("infrared", "thermal"))]:
        for line in (trees["regdb"] / "idx" / f"{split}_{word}_{trial}.txt").read_text().splitlines():
            path, label = line.split(" ")
            assert (trial, split, modality, path, int(label)) in found
    assert {(s.modality, s.camera) for s in listing.samples} == {("visible", 1), ("infrared", 2)}


def test_real_data_are_called_regdb(copy):
    (copy / "synthetic.json").unlink()
    assert read_regdb(copy).name == "RegDB"


def test_missing_folders_are_named(tmp_path, copy):
    refused(
        tmp_path / "no" / "such" / "place",
        "place: no such folder",
        "RegDB should be there (Visible, Thermal",
        "--layout regdb --output",
    )
    (copy / "Thermal").rename(tmp_path / "away")
    refused(copy, "incomplete copy; missing: Thermal.", "lba prepare synthetic")


def test_all_missing_lists_are_named(copy):
    for name in ("train_visible_3", "test_thermal_10"):
        (copy / "idx" / f"{name}.txt").unlink()
    message = refused(copy, "idx/train_visible_3.txt, idx/test_thermal_10.txt")
    assert "train_visible_1.txt" not in message
    for name in LAYOUT.lists:
        (copy / name).unlink(missing_ok=True)
    assert all(name in refused(copy) for name in LAYOUT.lists)
    assert len(LAYOUT.lists) == 40


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("Visible/1/x.bmp", "'Visible/1/x.bmp' is not an image's path and a label"),
        (f"Visible/{'1' * 2000}/x.bmp 0", "1' is not an image's path and a label"),
        ("17", "'17' is not an image's path and a label"),
        ("Visible/1/x.bmp one", "'one' is not a label"),
        ("Visible/1/x.bmp 1.5", "'1.5' is not a label"),
        ("Visible/1/x.bmp -1", "'-1' is not a label"),
        ("Visible/1/x.bmp ٣", "'٣' is not a label"),
        ("Visible/1/x.bmp 1234567890", "'1234567890' is not a label"),
        ("/etc/passwd 0", "'/etc/passwd' leads out of the data set"),
        ("../Visible/1/x.bmp 0", "leads out of the data set"),
        ("Visible/1/../../../x.bmp 0", "leads out of the data set"),
        ("C:/Visible/x.bmp 0", "leads out of the data set"),
        ("Visible\\1\\x.bmp 0", "paths must use forward slashes"),
        ("Visible/x.bmp 0", "'Visible/x.bmp' is not an image Visible/PERSON/NAME"),
        ("Visible/1/deep/x.bmp 0", "is not an image Visible/PERSON/NAME"),
        ("Thermal/1/x.bmp 0", "'Thermal/1/x.bmp' is not an image Visible/PERSON/NAME"),
    ],
)
def test_malformed_lines_are_refused(copy, line, message):
    path = edit(copy, "test_visible_4", lambda lines: [*lines[:6], line, *lines[6:]])
    refused(copy, f"{path}:7: ", message)


def test_empty_and_binary_lists_are_refused(copy):
    (copy / "idx" / "train_thermal_2.txt").write_text("\n\n")
    refused(copy, "train_thermal_2.txt:1: empty")
    (copy / "idx" / "train_thermal_2.txt").write_bytes(b"BM\n\x9a")
    refused(copy, "train_thermal_2.txt: line 2 is not UTF-8 text (byte 0x9a); save the file as UTF-8")


def test_an_image_that_is_listed_twice_is_refused(copy):
    path = edit(copy, "train_visible_1", lambda lines: [*lines, lines[2]])
    refused(copy, f"{path}:121: Visible/", "is already in train_visible_1.txt:3")
    edit(copy, "train_visible_1", lambda lines: [*lines[:-1], lines[2].replace("/", "//", 1)])
    refused(copy, "is already in train_visible_1.txt:3")


def test_an_image_in_both_splits_is_refused(copy):
    line = (copy / "idx" / "train_thermal_2.txt").read_text().splitlines()[0]
    path = edit(copy, "test_thermal_2", lambda lines: [line.rsplit(" ", 1)[0] + lines[0][-2:], *lines[10:]])
    refused(copy, f"{path}:1: {line.split()[0]} is a training image as well (train_thermal_2.txt:1)")


def test_a_person_in_both_splits_is_refused(copy):
    lines = (copy / "idx" / "train_visible_2.txt").read_text().splitlines()
    person = lines[0].split("/")[1]
    (copy / "Visible" / person / "another.bmp").touch()
    path = edit(copy, "test_visible_2", lambda old: [f"Visible/{person}/another.bmp 0", *old[10:]])
    refused(
        copy,
        f"{path}:1: person {person} is in the training split as well (train_visible_2.txt:1)",
        "must not share people",
    )


def test_a_label_of_two_people_and_a_person_with_two_labels_are_refused(copy):
    path = edit(copy, "train_visible_5", lambda lines: [*lines[:10], lines[10].rsplit(" ", 1)[0] + " 0", *lines[11:]])
    refused(copy, f"{path}:11: label 0 is person ", "in train_visible_5.txt:1")
    edit(copy, "train_visible_5", lambda lines: [lines[0], lines[1].rsplit(" ", 1)[0] + " 99", *lines[2:]])
    refused(copy, f"{path}:2: person ", "has label 99 here, and label 0 in train_visible_5.txt:1")


def test_swapped_lists_of_the_splits_are_refused(copy):
    train, test = (copy / "idx" / f"{split}_thermal_3.txt" for split in ("train", "test"))
    texts = train.read_text(), test.read_text()
    train.write_text(texts[1])
    test.write_text(texts[0])
    person = int(texts[1].split("/")[1])
    visible = (copy / "idx" / "test_visible_3.txt").read_text().splitlines()
    line = next(n for n, text in enumerate(visible, start=1) if text.startswith(f"Visible/{person}/"))
    path = copy / "idx" / "test_visible_3.txt"
    refused(copy, f"{path}:{line}: person {person} is in the training split as well (train_thermal_3.txt:1)")


def test_labels_that_differ_between_the_modalities_are_refused(copy):
    def shifted(lines):
        return [f"{path} {(int(label) + 1) % 12}" for path, label in map(str.split, lines)]

    edit(copy, "test_visible_6", shifted)
    first = (copy / "idx" / "test_thermal_6.txt").read_text().split("/")[1]
    last = (copy / "idx" / "test_visible_6.txt").read_text().splitlines()[110].split("/")[1]
    refused(
        copy,
        f"{copy / 'idx' / 'test_thermal_6.txt'}:1: label 0 is person {first} here, and person {last} in "
        "test_visible_6.txt:111",
    )


def test_leading_zeros_of_a_persons_folder_do_not_matter(copy):
    wanted = [(s.trial, s.split, s.modality, s.identity) for s in read_regdb(copy).samples]
    (copy / "Thermal" / "7").rename(copy / "Thermal" / "007")
    for path in (copy / "idx").iterdir():
        path.write_text(path.read_text().replace("Thermal/7/", "Thermal/007/"))
    assert [(s.trial, s.split, s.modality, s.identity) for s in read_regdb(copy).samples] == wanted


def test_labels_that_only_one_modality_has_are_refused(copy):
    edit(copy, "test_thermal_9", lambda lines: lines[10:])
    refused(
        copy, "test_visible_9.txt: should have the same labels as test_thermal_9.txt", "only in test_visible_9.txt: 0"
    )


def test_each_missing_image_is_named_on_a_line_of_its_own(copy):
    images = sorted((copy / "Visible").glob("*/*.bmp"))[:25]
    for image in images:
        image.unlink()
    with pytest.raises(DataError) as caught:
        read_regdb(copy)
    first, *lines = str(caught.value).splitlines()
    assert first == f"{copy}: 25 of 480 listed images are missing; add the missing images:"
    assert sorted(line.split(" (")[0].strip() for line in lines) == sorted(map(str, images))
    assert all(re.search(r" \((train|test)_visible_1\.txt:[0-9]+\)$", line) for line in lines)


def test_blanks_line_ends_and_byte_order_marks_do_not_matter(copy):
    wanted = read_regdb(copy).samples
    for path in (copy / "idx").iterdir():
        text = path.read_text().replace("\n", " \t\r\n")
        path.write_bytes(b"\xef\xbb\xbf" + text.encode() + b"\r\n\n  \n")
    assert read_regdb(copy).samples == wanted


def test_blank_lines_are_skipped_but_counted(copy):
    wanted = read_regdb(copy).samples
    edit(copy, "test_visible_4", lambda lines: ["", *lines[:6], " \t", "", *lines[6:]])
    assert read_regdb(copy).samples == wanted
    path = edit(copy, "test_visible_4", lambda lines: [*lines[:9], "17", *lines[9:]])
    refused(copy, f"{path}:10: '17' is not an image's path and a label")


def test_paths_may_have_upper_case_endings_blanks_and_unicode(copy):
    old = (copy / "idx" / "train_visible_1.txt").read_text().split()[0]
    new = old.rsplit("/", 1)[0] + "/front view été.BMP"
    (copy / old).rename(copy / new)
    for path in (copy / "idx").iterdir():
        path.write_text(path.read_text().replace(f"{old} ", f"{new} "))
    assert any(s.path == new for s in read_regdb(copy).samples)


def test_other_files_are_ignored_and_counted(copy):
    (copy / "Visible" / "1" / "Thumbs.db").touch()
    (copy / "Thermal" / "extra.bmp").touch()
    assert read_regdb(copy).notes == ("2 files that are in no list were ignored",)
