"""``lba prepare`` for every data set, and the synthetic data that it draws in every layout."""

import json

import pytest

from lba_cli.data.store import StoredImages
from lba_cli.vocabulary import DATASETS

SIZE = ("--set", "data.height=32", "--set", "data.width=16")


def cells(output, *words):
    """The cells of the table's row that starts with ``words``."""
    rows = [[cell.strip() for cell in line.strip().strip("│┃").split("│")] for line in output.splitlines()]
    (row,) = [row for row in rows if row[: len(words)] == list(words)]
    return row


@pytest.mark.parametrize("dataset", DATASETS)
def test_prepare_and_verify(lba, trees, tmp_path, dataset):
    root = tmp_path / "a data set"
    root.symlink_to(trees[dataset])
    result = lba("prepare", dataset, "--root", f"{root}/", *SIZE)
    store = StoredImages(tmp_path / "a data set-32x16")
    assert store.dataset == dataset
    assert f"{store.images} images of 32×16 are ready in " in result.output.replace("\n", "")
    assert "is whole" in lba("prepare", dataset, "--root", root, *SIZE, "--verify").output
    assert "exists already" in lba("prepare", dataset, "--root", root, *SIZE, status=2).output


def test_counts_of_every_split(lba, trees, tmp_path):
    output = lba("prepare", "regdb", "--root", trees["regdb"], "--output", "s", *SIZE).output
    for split in range(1, 11):
        assert cells(output, str(split), "train") == [str(split), "train", "12", "120", "120"]
        assert cells(output, str(split), "test") == [str(split), "test", "12", "120", "120"]


def test_counts_and_notes_of_own_folders(lba, trees, tmp_path):
    output = lba("prepare", "folder", "--root", trees["folder"], "--output", "s", *SIZE).output
    assert "3 identities have one modality only: they are distractors in galleries" in output
    assert cells(output, "test")[1] == "15"
    lists = {"train": "person 001\nperson 002\n", "test": "person 003\n"}
    for part, text in lists.items():
        (tmp_path / f"{part}.txt").write_text(text)
    words = [word for part in lists for word in ("--set", f"data.{part}_ids={tmp_path / f'{part}.txt'}")]
    output = lba("prepare", "folder", "--root", trees["folder"], "--output", "t", *SIZE, *words).output
    assert "24 identities are in neither id list and are left out" in output
    assert [cells(output, part)[1] for part in ("train", "test")] == ["2", "1"]


@pytest.mark.parametrize(("dataset", "place"), [("regdb", "RegDB"), ("llcm", "LLCM")])
def test_the_usual_folders(lba, trees, tmp_path, dataset, place):
    assert f"datasets/{place}: no such folder" in lba("prepare", dataset, status=2).output
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / place).symlink_to(trees[dataset])
    lba("prepare", dataset, *SIZE)
    assert (tmp_path / "datasets" / f"{place}-32x16" / "manifest.json").is_file()


def test_own_folders_need_a_name(lba, trees, tmp_path):
    assert "data.root is needed: name the folder with --root DIR" in lba("prepare", "folder", status=2).output
    (tmp_path / "own.yaml").write_text(f"data:\n  root: {trees['folder']}\n")
    lba("prepare", "folder", "--config", "own.yaml", "--output", "s", *SIZE)


def test_settings_of_another_data_set_are_refused(lba, trees, tmp_path):
    (tmp_path / "regdb.yaml").write_text("data:\n  dataset: regdb\n")
    message = lba("prepare", "llcm", "--config", "regdb.yaml", status=2).output
    assert "the settings are of the data set 'regdb' (data.dataset): use lba prepare regdb" in message
    lba("prepare", "llcm", "--config", "regdb.yaml", "--root", trees["llcm"], "--output", "s", *SIZE)


@pytest.mark.parametrize("dataset", DATASETS)
def test_another_data_sets_folder_is_refused(lba, trees, tmp_path, dataset):
    other = DATASETS[DATASETS.index(dataset) - 1]
    message = lba("prepare", dataset, "--root", trees[other], "--output", "s", status=2).output
    assert "error: " in message
    assert "it has no " in message
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("value", ["0", "11", "one", "1.5"])
def test_trials_out_of_range(lba, value):
    assert "data.trial: should be " in lba("train", "--set", f"data.trial={value}", status=2).output


@pytest.mark.parametrize("layout", ["regdb", "llcm", "folder"])
def test_synthetic_data_in_a_layout(lba, tmp_path, layout, monkeypatch):
    monkeypatch.setattr("lba_cli.synthetic.generate.draw", lambda *_: None)  # the images are drawn elsewhere
    result = lba("prepare", "synthetic", "--preset", "tiny", "--layout", layout, "--workers", "1", "--seed", "5")
    place = f"datasets/synthetic-tiny-{layout}"
    assert f"Next: lba prepare {layout} --root {place}" in result.output
    assert json.loads((tmp_path / place / "synthetic.json").read_text()) == {
        "preset": "tiny",
        "layout": layout,
        "seed": 5,
    }


def test_a_layout_that_a_preset_does_not_have(lba, tmp_path):
    message = lba("prepare", "synthetic", "--preset", "sysu", "--layout", "llcm", status=2).output
    assert "the layout 'llcm' comes in the presets tiny and small" in message
    lba("prepare", "synthetic", "--layout", "market", status=2)
    assert not list(tmp_path.iterdir())
