"""What the readers share: telling layouts apart, and the records they make."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import small_setup

from lba_cli.data.samples import fingerprint, identity_classes
from lba_cli.datasets import DATASETS, detect, read_dataset
from lba_cli.errors import DataError
from lba_cli.vocabulary import DATASETS


def test_there_is_a_reader_and_a_layout_for_every_data_set():
    assert tuple(READERS) == tuple(LAYOUTS) == DATASETS
    assert all(layout.dataset == dataset for dataset, layout in LAYOUTS.items())


@pytest.mark.parametrize("dataset", DATASETS)
def test_a_data_set_looks_like_itself_alone(trees, dataset):
    for other, root in trees.items():
        assert LAYOUTS[dataset].looks_like(root) == (other == dataset)


@pytest.mark.parametrize("dataset", DATASETS)
def test_an_incomplete_copy_is_still_told(hollow, dataset):
    root = hollow(dataset)
    victim = next(root / sign for sign in LAYOUTS[dataset].signs if (root / sign).is_dir())
    shutil.rmtree(victim)
    assert detect(root) == dataset
    with pytest.raises(DataError, match=rf"it has no .*{victim.name}"):
        read_dataset(root)


def test_no_data_set_and_more_than_one(tmp_path, hollow):
    for root, words in ((tmp_path, "no data set that is known"), (tmp_path / "nowhere", "no such folder")):
        with pytest.raises(DataError, match=words) as caught:
            detect(root)
        for title in ("SYSU-MM01 (cam1…cam6 and exp)", "RegDB (Visible, Thermal", "LLCM (idx/", "visible/IDENTITY"):
            assert title in str(caught.value)
        assert "\n" not in str(caught.value)
    root = hollow("llcm")
    (root / "visible").mkdir()
    with pytest.raises(DataError, match=r"more than one data set \(llcm, folder\): .*--set data\.dataset=llcm"):
        detect(root)
    assert read_dataset(root, "llcm").dataset == "llcm"


@pytest.mark.parametrize("dataset", DATASETS)
def test_order_is_split_part_identity_camera_path(trees, dataset):
    samples = read_dataset(trees[dataset]).samples
    keys = [(s.trial, s.split != "train", s.identity, s.camera, s.path) for s in samples]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("dataset", DATASETS)
def test_class_labels_count_from_zero(trees, dataset):
    samples = [s for s in read_dataset(trees[dataset]).samples if s.trial in (0, 1)]
    classes = identity_classes(samples)
    assert list(classes.values()) == list(range(12))
    assert list(classes) == sorted(classes)


@pytest.mark.parametrize("dataset", DATASETS)
def test_blanks_unicode_and_a_trailing_slash_in_the_root(hollow, tmp_path, dataset):
    root = tmp_path / "größe 数据 set"
    hollow(dataset).rename(root)
    wanted = [(s.path, s.identity) for s in read_dataset(root).samples]
    listing = read_dataset(Path(f"{root}/"))
    assert [(s.path, s.identity) for s in listing.samples] == wanted
    assert fingerprint(listing) == fingerprint(read_dataset(root))


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_current_folder_is_a_root_too(hollow, monkeypatch, dataset):
    monkeypatch.chdir(hollow(dataset))
    assert read_dataset(Path()).dataset == dataset


@pytest.mark.parametrize("dataset", DATASETS)
def test_folders_may_be_links(hollow, tmp_path, dataset):
    root = hollow(dataset)
    wanted = read_dataset(root).samples
    for number, folder in enumerate(path for path in list(root.iterdir()) if path.is_dir()):
        folder.rename(tmp_path / str(number))
        folder.symlink_to(tmp_path / str(number))
    assert read_dataset(root).samples == wanted


@pytest.mark.parametrize(
    ("dataset", "folder"),
    [("sysu", "cam1/0004"), ("llcm", "test_vis/cam1/0003"), ("folder", "visible/passer-by 01")],
)
def test_names_that_are_no_text_are_refused(hollow, dataset, folder):
    root = hollow(dataset)
    try:
        (root / folder / os.fsdecode(b"caf\xe9.jpg")).touch()
    except OSError:
        pytest.skip("this file system has no such names")
    small_setup.refused(
        lambda: read_dataset(root), f"{root / folder}: the file name 'caf\\udce9.jpg' is not UTF-8; rename it"
    )


def test_the_name_of_an_identitys_folder_that_is_no_text_is_refused(hollow):
    root = hollow("folder")
    try:
        (root / "visible" / os.fsdecode(b"caf\xe9")).mkdir()
    except OSError:
        pytest.skip("this file system has no such names")
    small_setup.refused(
        lambda: read_dataset(root), f"{root / 'visible'}: the file name 'caf\\udce9' is not UTF-8; rename it"
    )


@pytest.mark.parametrize(
    "names",
    [("Visible", "Infrared"), ("visible", "thermal"), ("Visible", "Thermal"), ("RGB", "ir"), ("vis", "infrared")],
)
def test_own_folders_of_another_spelling(tmp_path, names):
    for name in names:
        (tmp_path / name / "someone").mkdir(parents=True)
    hint = (
        f"If {names[0]}/ and {names[1]}/ are folders of your own, spell them visible/ and infrared/: lba prepare folder"
    )
    for dataset in ("auto", "folder"):
        small_setup.refused(lambda dataset=dataset: read_dataset(tmp_path, dataset), hint)
    (tmp_path / "idx").mkdir()
    with pytest.raises(DataError) as caught:
        read_dataset(tmp_path)
    assert "spell them" not in str(caught.value)


def test_the_fingerprint_covers_the_split(hollow):
    listing = read_dataset(hollow("regdb"))
    moved = tuple(replace(s, split=3 - s.trial) if s.trial in (1, 2) else s for s in listing.samples)
    assert fingerprint(replace(listing, samples=moved)) != fingerprint(listing)
