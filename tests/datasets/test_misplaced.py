"""A data set that is there, but spelled otherwise, in another format, or one folder too deep or too high."""

import unicodedata
from pathlib import Path

import pytest
import small_setup

from lba_cli.datasets import DATASETS, detect, get_dataset
from lba_cli.datasets.layout import SIGNED_AGREEMENT
from lba_cli.datasets.lists import read_image_list, require_images
from lba_cli.errors import DataError


def layout_at(root, dataset, without=()):
    """Make the folders and empty lists of a data set; return its layout."""
    layout = get_dataset(dataset).layout
    for name in layout.needed:
        if name not in without:
            place = root / name
            (place if name in layout.folders else place.parent).mkdir(parents=True, exist_ok=True)
            if name in layout.lists:
                place.touch()
    return layout


def refused(layout, root, *words):
    message = small_setup.refused(lambda: layout.require(root), *words)
    assert SIGNED_AGREEMENT not in message
    assert "prepare synthetic" not in message
    return message


@pytest.fixture(params=["sysu", "regdb", "llcm", "folder"])
def dataset(request):
    return request.param


@pytest.mark.parametrize("place", ["Data", "unpacked/Data", "sub folder"])
def test_a_folder_too_deep(tmp_path, dataset, place):
    root = tmp_path / "Data"
    layout = layout_at(root / place, dataset)
    deeper = str(root / place)
    quoted = f"'{deeper}'" if " " in deeper else deeper
    words = f"The data set is in {deeper}: use --root {quoted} (lba prepare) or --data {quoted} (other commands)."
    refused(layout, root, words)
    found = small_setup.refused(
        lambda: detect(root), f"{layout.title[0].upper()}{layout.title[1:]} seems to be nearby. {words}"
    )
    assert "prepare synthetic" not in found


def test_a_folder_too_high(tmp_path, dataset):
    layout = layout_at(tmp_path, dataset)
    root = tmp_path / layout.folders[0].split("/")[0]
    refused(layout, root, f"The data set is in {tmp_path}: use --root {tmp_path} ")
    with pytest.raises(DataError, match=f"seems to be nearby. The data set is in {tmp_path}"):
        detect(root)


@pytest.mark.parametrize("place", ["datasets", "datasets/old", "elsewhere", "."])
def test_the_default_place_is_empty_but_another_one_nearby_is_not(tmp_path, monkeypatch, dataset, place):
    monkeypatch.chdir(tmp_path)
    layout = layout_at(Path(place), dataset)
    default = Path(get_dataset(dataset).default_root or "datasets/own")
    refused(layout, default, f"{default}: no such folder", f"The data set is in {place}: use --root {place} ")


def test_an_incomplete_data_set_too_deep_says_what_it_lacks(tmp_path):
    layout = layout_at(tmp_path / "SYSU-MM01", "sysu", without=["cam3", "exp/val_id.txt"])
    refused(layout, tmp_path, f"The data set is in {tmp_path / 'SYSU-MM01'}, except cam3, exp/val_id.txt: use --root")


def test_the_data_sets_below_a_folder_are_all_named(tmp_path):
    for name in ("sysu", "regdb", "llcm"):
        layout_at(tmp_path / name, name)
    small_setup.refused(
        lambda: detect(tmp_path), *(f"The data set is in {tmp_path / name}:" for name in ("sysu", "regdb", "llcm"))
    )


@pytest.mark.parametrize("change", [str.lower, str.upper, str.title])
def test_folders_and_lists_in_another_letter_case(tmp_path, dataset, change):
    layout = layout_at(tmp_path / "right", dataset)
    root = tmp_path / "root"
    for name in layout.needed:
        place = root / change(name)
        (place if name in layout.folders else place.parent).mkdir(parents=True, exist_ok=True)
        if name in layout.lists:
            place.touch()
    missing = layout.missing(root)
    if not missing:
        return
    message = small_setup.refused(
        lambda: layout.require(root), "the spelling must be the same, including upper and lower case"
    )
    assert SIGNED_AGREEMENT not in message
    assert f" {change(missing[0])}" in message
    assert detect(root).name == dataset


def test_own_folders_may_have_the_data_sets_names_in_lower_case(tmp_path):
    for name in ("visible", "thermal"):
        (tmp_path / name).mkdir()
    assert detect(tmp_path).name == "folder"


@pytest.mark.parametrize(
    ("dataset", "needed", "there"),
    [
        ("sysu", "exp/train_id.txt", "exp/exp/train_id.txt"),
        ("sysu", "exp/test_id.txt", "test_id.txt"),
        ("regdb", "idx/train_visible_7.txt", "idx/Idx/train_visible_7.txt"),
        ("llcm", "test_vis/cam4", "test_vis/test_vis/cam4"),
        ("llcm", "idx/test_id.txt", "idx/test_id.TXT"),
    ],
)
def test_one_part_elsewhere(tmp_path, dataset, needed, there):
    layout = layout_at(tmp_path, dataset)
    (tmp_path / there).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / needed).rename(tmp_path / there)
    refused(layout, tmp_path, f"missing: {needed}. {needed} is there as {there}: ")


def test_the_same_name_in_another_modality_is_something_else(tmp_path):
    layout = layout_at(tmp_path, "llcm", without=["test_vis/cam4"])
    small_setup.refused(lambda: layout.require(tmp_path), f"missing: test_vis/cam4. {SIGNED_AGREEMENT}")


def test_a_link_that_leads_nowhere(tmp_path):
    layout = layout_at(tmp_path, "sysu", without=["cam5"])
    (tmp_path / "cam5").symlink_to(tmp_path / "disk" / "cam5")
    refused(layout, tmp_path, "missing: cam5. cam5 is there as cam5: ", "a broken link")


def test_an_archive_is_no_folder(tmp_path, dataset):
    archive = tmp_path / "data.zip"
    archive.touch()
    message = small_setup.refused(
        lambda: DATASETS[dataset].layout.require(archive), "data.zip: not a folder: name the folder of"
    )
    assert "unpack" in message


def images_at(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


@pytest.mark.parametrize(
    ("there", "why"),
    [
        ("Visible/{}/{}.BMP", "upper and lower case"),
        ("Visible/{}/{}.png", "the ending differs; write the endings of the files into the lists"),
        ("Visible/Visible/{}/{}.bmp", "the folder differs; move the file or folder"),
        ("{}/{}.bmp", "the folder differs; move the file or folder"),
    ],
)
def test_listed_images_elsewhere(tmp_path, there, why):
    listed = [("été", "a"), ("2", "b"), ("3", "c"), ("4", "d")]
    (tmp_path / "list.txt").write_text("".join(f"Visible/{person}/{name}.bmp 0\n" for person, name in listed))
    images_at(tmp_path, *(there.format(*place) for place in listed[:3]), "Visible/5/e.bmp")
    entries = read_image_list(tmp_path, "list.txt")
    with pytest.raises(DataError) as caught:
        require_images(tmp_path, entries)
    first, *lines = str(caught.value).splitlines()
    assert "4 of 4 listed images are missing; 3 missing names are there under other names" in first
    assert f"such as Visible/été/a.bmp as {there.format(*listed[0])}: " in first
    assert why in first
    assert first.endswith("add the missing images:")
    assert lines == [f"  {tmp_path / 'Visible/4/d.bmp'} (list.txt:4)"]
    images_at(tmp_path, there.format(*listed[3]))
    assert "add the missing" not in small_setup.refused(
        lambda: require_images(tmp_path, entries), "4 missing names are there"
    )


def test_listed_images_in_another_unicode_form(tmp_path):
    (tmp_path / "list.txt").write_text("vis/été/a.jpg 0\n")
    there = unicodedata.normalize("NFD", "vis/été/a.jpg")
    images_at(tmp_path, there)
    entries = read_image_list(tmp_path, "list.txt")
    small_setup.refused(lambda: require_images(tmp_path, entries), f"vis/été/a.jpg is there as {there}: the spelling")
