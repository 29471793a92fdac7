"""A method is open to others: one outside of the package trains, is configured and is recorded like those inside."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from methods import own_method

from lba_cli.cli.console import describe
from lba_cli.methods import METHODS, Objective
from lba_cli.model import TwoStreamNetwork

RUN = Path("run")


@pytest.fixture
def train(lba, monkeypatch, small_yaml, store):
    """Train one epoch by the command line, with a method that is registered for this test; return its only record."""
    monkeypatch.setitem(METHODS, own_method.CENTRED.name, own_method.CENTRED)

    def run(*words, status=0):
        options = ("--config", small_yaml, "--data", store, "--output", RUN, "--set", "train.epochs=1")
        result = lba("train", *options, *words, status=status)
        return json.loads((RUN / "metrics.jsonl").read_text()) if status == 0 else result.output

    return run


def test_the_own_method_fits_on_a_page():
    assert len(Path(own_method.__file__).read_text().splitlines()) < 40


def test_the_own_term_is_computed_from_both_modalities(monkeypatch):
    monkeypatch.setitem(METHODS, own_method.CENTRED.name, own_method.CENTRED)
    torch.manual_seed(0)
    network, images = TwoStreamNetwork("resnet18", 3), torch.randn(4, 3, 64, 32)
    network.stems["infrared"].load_state_dict(network.stems["visible"].state_dict())
    objective, labels = Objective("centred"), torch.tensor([0, 0, 1, 1])
    same = objective(network.eval(), images, images, labels)
    other = objective(network, images, torch.randn(4, 3, 64, 32), labels)
    assert same["modality_gap"] == 0
    assert other["modality_gap"] > 0


def test_a_run_of_the_own_method_records_its_term(train):
    record = train("--method", "centred")
    assert record["losses"].keys() == {"identity", "hard_triplet", "modality_gap", "total"}
    losses = record["losses"]
    total = losses["identity"] + losses["hard_triplet"] + 0.1 * losses["modality_gap"]
    assert losses["total"] == pytest.approx(total, rel=1e-5)
    assert record["diagnostics"].keys() == {"correct_triplets", "mean_feature", "gradient_norm"}
    weights = yaml.safe_load((RUN / "config.yaml").read_text())["loss"]
    assert weights == {"identity": 1.0, "hard_triplet": 1.0, "modality_gap": 0.1}


@pytest.mark.slow
def test_the_weight_of_the_own_term_is_a_config_key(train):
    losses = train("--method", "centred", "--set", "loss.modality_gap=3")["losses"]
    total = losses["identity"] + losses["hard_triplet"] + 3 * losses["modality_gap"]
    assert losses["total"] == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize(
    ("term", "missing"),
    [
        pytest.param("dense_triplet", {"dense_triplet"}, marks=pytest.mark.slow),
        ("identity_consistency", {"identity_consistency_stage3", "identity_consistency_stage4"}),
    ],
)
def test_a_weight_of_zero_switches_a_term_off(train, term, missing):
    every = {
        "identity",
        "hard_triplet",
        "identity_consistency_stage3",
        "identity_consistency_stage4",
        "dense_triplet",
        "total",
    }
    assert train("--method", "full", "--set", f"loss.{term}=0")["losses"].keys() == every - missing


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--method", "centred", "--set", "loss.dense_triplet=1"],
            "--set loss.dense_triplet=1: the method 'centred' has no loss term 'dense_triplet'; "
            "it has identity, hard_triplet, modality_gap",
        ),
        (
            ["--method", "centred", "--set", "loss.modality_gap=-1"],
            "--set loss.modality_gap=-1: loss.modality_gap: should be greater than or equal to 0, not -1",
        ),
        (
            ["--method", "baseline", "--set", "loss.identity=0", "--set", "loss.hard_triplet=0"],
            "--set loss.hard_triplet=0: every loss term of the method 'baseline' has weight 0",
        ),
        (["--method", "centered"], "train.method: there is no such method; did you mean 'centred'?, not 'centered'"),
    ],
)
def test_mistakes_in_methods_and_weights_are_refused_in_one_line(train, words, message):
    output = train(*words, status=2)
    assert message in output
    assert output.count("\n") == 1
    assert not RUN.exists()


def test_progress_shows_every_term_by_a_short_label():
    facts = {"identity": 5.0, "modality_gap": 0.25, "total": 6.0, "learning_rate": 0.1, "images_a_step": 10}
    assert describe(facts, rate=2.0) == "identity 5  mg 0.25  total 6  lr 0.1  20 images/s"


@pytest.mark.slow
def test_the_file_runs_as_a_program(small_yaml, store, tmp_path):
    words = ("train", "--method", "centred", "--config", small_yaml, "--data", store, "--output", RUN)
    once = ("--set", "train.epochs=1", "--set", "train.steps_per_epoch=1")
    program = [sys.executable, own_method.__file__, *map(str, words), *once]
    subprocess.run(program, cwd=tmp_path, check=True)
    assert "modality_gap" in json.loads((tmp_path / RUN / "metrics.jsonl").read_text())["losses"]
