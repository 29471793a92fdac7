"""``lba prepare`` for every data set, and synthetic data in every layout."""

import json

import pytest

from lba_cli.data.store import StoredImages
from lba_cli.datasets import DATASETS

NAMES = tuple(DATASETS)
SIZE = ("--set", "data.height=32", "--set", "data.width=16")


def cells(output, *words):
    """Find the row of a table that starts with ``words``, and return its cells."""
    rows = [[cell.strip() for cell in line.strip().strip("│┃").split("│")] for line in output.splitlines()]
    (row,) = [row for row in rows if row[: len(words)] == list(words)]
    return row


@pytest.mark.parametrize("dataset", NAMES)
def test_prepare_and_verify(lba, trees, tmp_path, dataset):
    root = tmp_path / "a data set"
    root.symlink_to(trees[dataset])
    result = lba("prepare", dataset, "--root", f"{root}/", *SIZE)
    store = StoredImages(tmp_path / "a data set-32x16")
    assert store.dataset == dataset
    assert f"{store.images} images of 32×16 are ready in " in result.output.replace("\n", "")
    assert "is intact" in lba("prepare", dataset, "--root", root, *SIZE, "--verify").output
    assert (
        "exists already; name another folder with --output"
        in lba("prepare", dataset, "--root", root, *SIZE, status=2).output
    )


def test_the_images_of_every_trial_are_counted(lba, trees, tmp_path):
    output = lba("prepare", "regdb", "--root", trees["regdb"], "--output", "s", *SIZE).output
    for trial in map(str, range(1, 11)):
        for split in ("train", "test"):
            assert cells(output, trial, split) == [trial, split, "12", "120", "120"]


def test_the_images_of_own_folders_are_counted_with_notes(lba, trees, tmp_path):
    output = lba("prepare", "folder", "--root", trees["folder"], "--output", "s", *SIZE).output
    assert (
        "3 identities have one modality only and are distractors in galleries: 2 have visible images only ('passer-by 01', "
        "'passer-by 02'), 1 has infrared images only" in output
    )
    assert cells(output, "test")[1] == "15"
    lists = {"train": "person 001\nperson 002\n", "test": "person 003\n"}
    for split, text in lists.items():
        (tmp_path / f"{split}.txt").write_text(text)
    words = [word for split in lists for word in ("--set", f"data.{split}_ids={tmp_path / f'{split}.txt'}")]
    output = lba("prepare", "folder", "--root", trees["folder"], "--output", "t", *SIZE, *words).output
    assert "24 identities are in no list and are left out" in output
    assert [cells(output, split)[1] for split in ("train", "test")] == ["2", "1"]


@pytest.mark.parametrize(("dataset", "place"), [("regdb", "RegDB"), ("llcm", "LLCM")])
def test_a_data_set_is_looked_for_in_its_usual_folder(lba, trees, tmp_path, dataset, place):
    assert f"datasets/{place}: no such folder" in lba("prepare", dataset, status=2).output
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / place).symlink_to(trees[dataset])
    lba("prepare", dataset, *SIZE)
    assert (tmp_path / "datasets" / f"{place}-32x16" / "manifest.json").is_file()


def test_own_folders_must_be_named(lba, trees, tmp_path):
    assert "data.root is needed: name the folder with --root DIR" in lba("prepare", "folder", status=2).output
    (tmp_path / "own.yaml").write_text(f"data:\n  root: {trees['folder']}\n")
    lba("prepare", "folder", "--config", "own.yaml", "--output", "s", *SIZE)


def test_a_config_for_another_data_set_is_refused(lba, trees, tmp_path):
    (tmp_path / "regdb.yaml").write_text("data:\n  dataset: regdb\n")
    message = lba("prepare", "llcm", "--config", "regdb.yaml", status=2).output
    assert "the configuration is for the data set 'regdb' (data.dataset): use lba prepare regdb" in message
    lba("prepare", "llcm", "--config", "regdb.yaml", "--root", trees["llcm"], "--output", "s", *SIZE)


@pytest.mark.parametrize("dataset", NAMES)
def test_the_folder_of_another_data_set_is_refused(lba, trees, tmp_path, dataset):
    other = NAMES[NAMES.index(dataset) - 1]
    message = lba("prepare", dataset, "--root", trees[other], "--output", "s", status=2).output
    assert "error: " in message
    assert "or an incomplete copy; missing: " in message
    assert not (tmp_path / "s").exists()


def test_keys_of_other_data_sets_are_warned_about(lba, trees):
    words = ("--set", "data.test_share=0.5", "--set", "data.trial=3", "--verify")
    output = " ".join(lba("prepare", "sysu", "--root", trees["sysu"], *words, status=2).output.split())
    assert (
        "data.test_share has no effect: only the data set 'folder' has this key; 'sysu' has no keys of its own"
        in output
    )
    assert "data.trial has no effect: 'sysu' has a single train/test split" in output


@pytest.mark.parametrize("value", ["0", "11", "one", "1.5"])
def test_a_trial_out_of_range_is_refused(lba, value):
    assert "data.trial: should be " in lba("train", "--set", f"data.trial={value}", status=2).output


@pytest.mark.parametrize("layout", ["regdb", "llcm", "folder"])
def test_synthetic_data_are_written_in_any_layout(lba, tmp_path, layout, monkeypatch):
    monkeypatch.setattr("lba_cli.datasets.synthesize.draw", lambda *_, **__: None)  # the images are drawn elsewhere
    result = lba("prepare", "synthetic", "--preset", "tiny", "--layout", layout, "--workers", "1", "--seed", "5")
    place = f"datasets/synthetic-tiny-{layout}"
    assert f"Next: lba prepare {layout} --root {place}" in result.output
    assert json.loads((tmp_path / place / "synthetic.json").read_text()) == {
        "preset": "tiny",
        "layout": layout,
        "seed": 5,
    }


def test_a_layout_that_the_preset_does_not_have_is_refused(lba, tmp_path):
    message = lba("prepare", "synthetic", "--preset", "sysu", "--layout", "llcm", status=2).output
    assert "the layout 'llcm' has the presets tiny and small" in message
    lba("prepare", "synthetic", "--layout", "market", status=2)
    assert not list(tmp_path.iterdir())
