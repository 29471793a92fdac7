"""The test of the design: a data set in one file of its own works with every command, and the package isn't touched."""

import json
from pathlib import Path

import pytest
from datasets import fifth_dataset
from datasets.fifth_dataset import HARBOUR

from lba_cli.datasets import DATASETS, register


@pytest.fixture
def registered(monkeypatch):
    monkeypatch.setitem(DATASETS, HARBOUR.name, HARBOUR)  # so that it is removed again after the test
    del DATASETS[HARBOUR.name]
    register(HARBOUR)


@pytest.fixture
def harbour(registered, lba, tmp_path):
    """Draw the data set's synthetic people with the command line; returns the folder."""
    lba("prepare", "synthetic", "--layout", "harbour", "--preset", "tiny", "--output", "Harbour", "--workers", 1)
    return tmp_path / "Harbour"


def test_the_data_set_fits_on_a_page():
    assert len(Path(fifth_dataset.__file__).read_text().splitlines()) < 60


def test_a_registered_data_set_has_a_command_and_a_config_key(registered, lba):
    assert "harbour" in lba("prepare", "--help").output
    refused = lba("prepare", "harbour", "--root", "nowhere", "--set", "data.fold=5", status=2).output
    assert "data.fold: should be less than 5, not 5" in refused
    assert "Harbour should be there (day and night)" in lba("prepare", "harbour", "--root", "nowhere", status=2).output


def test_a_registered_data_set_is_unknown_afterwards(lba):
    assert "No such command 'harbour'" in lba("prepare", "harbour", status=2).output
    assert "unknown key 'data.fold'" in lba("prepare", "sysu", "--set", "data.fold=1", status=2).output


def test_from_files_to_a_picture(harbour, lba, small_yaml, tmp_path):
    fold = ("--config", small_yaml, "--set", "data.fold=1")
    assert "160 images of 64×32 are ready" in lba("prepare", "harbour", "--root", harbour, *fold).output
    step = ("--set", "train.epochs=1", "--set", "train.steps_per_epoch=1")
    lba("train", "--data", harbour, *fold, *step, "--output", "run")
    lba("evaluate", "run", "--mode", "all", "--shots", "both", "--json", "figures.json")
    results = json.loads((tmp_path / "figures.json").read_text())["results"]
    modes = [(mode, shots) for mode in ("night-to-day", "day-to-night") for shots in ("single", "multi")]
    assert [(result["mode"], result["shots"]) for result in results] == modes
    assert all(len(result["trials"]) == 10 for result in results)
    assert results[0]["num_query"] == 4 * 2 * 2  # people of the fold, cameras, images
    lba("visualize", "correspondences", "--checkpoint", "run", "--people", 2)
    assert (tmp_path / "figures" / "correspondences.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_mistakes_are_refused_in_one_line(harbour, lba, small_yaml):
    words = ("prepare", "harbour", "--root", harbour, "--config", small_yaml)
    lba(*words)
    assert "or for another train/test split" in lba(*words, "--set", "data.fold=2", "--verify", status=2).output
    (harbour / "day" / "someone.png").write_bytes(b"")
    refused = lba(*words, "--output", "again", status=2).output
    assert "someone.png: a name should begin with the person's number" in refused
