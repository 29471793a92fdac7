"""What all data sets have in common: their layouts are recognised, and their readers make the same kind of records."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import small_setup

from lba_cli.data.samples import fingerprint, identity_classes
from lba_cli.datasets import DATASETS, detect, get_dataset, read_dataset
from lba_cli.errors import ConfigError, DataError


def test_each_data_set_is_listed_under_its_own_name():
    assert all(spec.name == spec.layout.name == name for name, spec in DATASETS.items())
    assert all(get_dataset(name) is spec for name, spec in DATASETS.items())


def test_an_unknown_data_set_names_the_nearest_one():
    with pytest.raises(ConfigError, match="there is no data set 'regbd'; did you mean 'regdb'"):
        get_dataset("regbd")


@pytest.mark.parametrize("dataset", DATASETS)
def test_modes_protocols_and_shots_of_a_data_set_fit_together(dataset):
    spec = get_dataset(dataset)
    assert set(spec.usual_modes) <= set(spec.modes)
    assert set(spec.protocols["community"]) == set(spec.modes)
    assert all(set(modes) <= set(spec.modes) for modes in spec.protocols.values())
    assert set(spec.protocol_notes) <= set(spec.protocols)
    assert spec.usual_shots(()) in spec.shots
    for row in spec.published:
        assert row.setting.mode in spec.protocols[row.setting.protocol]
        assert row.setting.shots in spec.shots
        assert all(0 < figure < 1 for figure in row.figures.values())


@pytest.mark.parametrize("dataset", DATASETS)
def test_each_layout_is_recognised_by_one_data_set_only(trees, dataset):
    for other, root in trees.items():
        assert get_dataset(dataset).layout.looks_like(root) == (other == dataset)


@pytest.mark.parametrize("dataset", DATASETS)
def test_an_incomplete_copy_is_still_recognised(hollow, dataset):
    root = hollow(dataset)
    victim = next(root / sign for sign in get_dataset(dataset).layout.signs if (root / sign).is_dir())
    shutil.rmtree(victim)
    assert detect(root) is get_dataset(dataset)
    with pytest.raises(DataError, match=rf"incomplete copy; missing: .*{victim.name}"):
        read_dataset(root)


def test_a_root_of_no_data_set_or_of_several_is_refused(tmp_path, hollow):
    for root, words in ((tmp_path, "no known data set"), (tmp_path / "nowhere", "no such folder")):
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
def test_samples_are_sorted_by_trial_split_identity_camera_and_path(trees, dataset):
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
def test_the_root_may_contain_blanks_and_unicode_and_end_with_a_slash(hollow, tmp_path, dataset):
    root = tmp_path / "größe 数据 set"
    hollow(dataset).rename(root)
    wanted = [(s.path, s.identity) for s in read_dataset(root).samples]
    listing = read_dataset(Path(f"{root}/"))
    assert [(s.path, s.identity) for s in listing.samples] == wanted
    assert fingerprint(listing) == fingerprint(read_dataset(root))


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_current_folder_may_be_the_root(hollow, monkeypatch, dataset):
    monkeypatch.chdir(hollow(dataset))
    assert read_dataset(Path()).dataset == dataset


@pytest.mark.parametrize("dataset", DATASETS)
def test_folders_may_be_symbolic_links(hollow, tmp_path, dataset):
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
def test_file_names_that_are_not_utf8_are_refused(hollow, dataset, folder):
    root = hollow(dataset)
    try:
        (root / folder / os.fsdecode(b"caf\xe9.jpg")).touch()
    except OSError:
        pytest.skip("this file system has no such names")
    small_setup.refused(
        lambda: read_dataset(root), f"{root / folder}: the file name 'caf\\udce9.jpg' is not UTF-8; rename it"
    )


def test_identity_folders_whose_names_are_not_utf8_are_refused(hollow):
    root = hollow("folder")
    try:
        folder = root / "visible" / os.fsdecode(b"caf\xe9")
        folder.mkdir()
        (folder / "1.jpg").touch()
    except OSError:
        pytest.skip("this file system has no such names")
    small_setup.refused(
        lambda: read_dataset(root), f"{root / 'visible'}: the file name 'caf\\udce9' is not UTF-8; rename it"
    )


@pytest.mark.parametrize(
    "names",
    [("Visible", "Infrared"), ("visible", "thermal"), ("Visible", "Thermal"), ("RGB", "ir"), ("vis", "infrared")],
)
def test_own_folders_under_other_names_get_a_hint(tmp_path, names):
    for name in names:
        (tmp_path / name / "someone").mkdir(parents=True)
    hint = f"If {names[0]}/ and {names[1]}/ hold your own images, rename them to visible/ and infrared/ and run lba prepare"
    for dataset in ("auto", "folder"):
        small_setup.refused(lambda dataset=dataset: read_dataset(tmp_path, dataset), hint)
    (tmp_path / "idx").mkdir()
    with pytest.raises(DataError) as caught:
        read_dataset(tmp_path)
    assert "rename them" not in str(caught.value)


def test_the_fingerprint_covers_the_trials(hollow):
    listing = read_dataset(hollow("regdb"))
    moved = tuple(replace(s, trial=3 - s.trial) if s.trial in (1, 2) else s for s in listing.samples)
    assert fingerprint(replace(listing, samples=moved)) != fingerprint(listing)
