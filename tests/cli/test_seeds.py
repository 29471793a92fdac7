"""``lba train --seeds`` trains a run for each seed, and ``lba evaluate`` takes their mean and spread."""

import json

import pytest
import torch

from lba_cli.cli import run_series
from lba_cli.errors import Interrupted
from lba_cli.model.checkpoint import read_checkpoint

ONE_STEP = ("--set", "train.epochs=1", "--set", "train.steps_per_epoch=1", "--set", "train.evaluate_every=0")


@pytest.fixture
def train(lba, small_yaml, store):
    """Train seeds with few steps: ``train("--seeds", 0, 1)``."""
    return lambda *words, **status: lba("train", "--config", small_yaml, "--data", store, *words, *ONE_STEP, **status)


def seed_of(path):
    return read_checkpoint(path / "checkpoints" / "last.pt").description.config["train"]["seed"]


@pytest.mark.slow
def test_from_training_to_differences(train, lba, tmp_path, monkeypatch):
    output = train("--seeds", 3, 1, "--output", "full").output
    assert "full is complete. Next: lba evaluate full" in output
    assert [seed_of(tmp_path / f"full/seed-{seed}") for seed in (3, 1)] == [3, 1]

    # A seed's run is the run that lba train makes with this seed alone, and more seeds can be added.
    train("--set", "train.seed=1", "--output", "alone")
    alone, one = (read_checkpoint(tmp_path / name / "checkpoints/last.pt") for name in ("alone", "full/seed-1"))
    assert all(torch.equal(alone.weights[name], one.weights[name]) for name in one.weights)
    output = lba("train", "--seeds", 1, 2, "--resume", "full").output
    assert "full/seed-1 is already complete" in output
    assert seed_of(tmp_path / "full/seed-2") == 2

    train("--seeds", 2, 3, "--method", "baseline", "--output", "baseline")
    monkeypatch.setenv("COLUMNS", "400")
    result = lba("evaluate", "baseline", "full", "--json", "f.json", "--csv", "f.csv", "--markdown", "f.md")
    text = " ".join(result.output.split())
    assert "2–3 seeds (each the mean of 10 draws), in percent" in text
    assert "over the seeds that both models have" in text
    content = json.loads((tmp_path / "f.json").read_text())
    assert [entry["seeds"] for entry in content["results"]] == [[2, 3], [1, 2, 3]]
    assert content["comparison"][0]["seeds"] == [2, 3]
    separate = [json.loads(path.read_text()) for path in evaluated(lba, tmp_path, "full/seed-1", "full/seed-2")]
    means = [each["results"][0]["mean"]["mAP"] for each in separate]
    assert [trial["mAP"] for trial in content["results"][1]["trials"][:2]] == pytest.approx(means, abs=1e-12)

    lba("visualize", "curves", "--run", "full", "--output", "band.png")
    assert (tmp_path / "band.png").stat().st_size > 10_000

    # A folder of seeds isn't a run, and a single run has another kind of spread.
    message = lba("evaluate", "full", "alone", status=2).output
    assert "full holds runs of 3 seeds, but alone/checkpoints/last.pt is a single run" in " ".join(message.split())
    message = " ".join(
        lba("export", "--checkpoint", "full", "--format", "pt2", "--output", "x.pt2", status=2).output.split()
    )
    assert "full: a folder of seeds, each with a run of its own: name one, such as full/seed-1" in message
    message = " ".join(train("--resume", "full", status=2).output.split())
    assert "--resume full: holds 3 runs: name one, such as full/seed-1, or add --seeds" in message
    message = " ".join(lba("evaluate", "baseline", "full", "--save-features", "x.npz", status=2).output.split())
    assert "--save-features saves the features of a single model" in message


def evaluated(lba, folder, *names):
    for number, name in enumerate(names):
        path = folder / f"{number}.json"
        lba("evaluate", name, "--json", path)
        yield path


def test_an_interrupted_seed_says_how_to_continue(train, monkeypatch):
    def stop(*_, **__):
        raise Interrupted(2, "stopped")

    monkeypatch.setattr(run_series, "train", stop)
    output = " ".join(train("--seeds", 5, 6, "--output", "x", status=130).output.split())
    assert "stopped in x/seed-5; continue with: lba train --seeds 5 6 --resume x" in output


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--seeds", 1, 2, 1), "--seeds: the seed 1 is named twice"),
        (("--seeds", 1, "--trials", "all"), "--trials all and --seeds can't be combined"),
        ((4, 5), "unexpected argument 4: to give seeds, write --seeds 4 5"),
        (("--seeds", "x"), "Invalid value for '--seeds'"),
        (("--seeds", -1), "Invalid value for '--seeds'"),
        (
            ("--seeds", 1, 2, "--set", "train.seed=4"),
            "--seeds 1 2 sets train.seed for each model, so leave out --set train.seed",
        ),
        (("--seeds", 1, "--resume", "nothing"), "nothing: not a folder of trials or seeds: it has no config.yaml"),
        (("--seeds", 1, "--resume", "latest"), "runs/ has no folder with runs called seed-…"),
    ],
)
def test_mistakes_are_refused(train, tmp_path, words, reason):
    output = train(*words, *(() if "--resume" in words else ("--output", "x")), status=2).output
    assert reason in " ".join(output.replace("│", " ").split())
    assert not list(tmp_path.glob("x/seed-*"))


def test_seeds_of_an_existing_folder_are_not_trained_again_without_a_word(train):
    train("--seeds", 1, "--output", "x")
    output = " ".join(train("--seeds", 1, 2, "--output", "x", status=2).output.split())
    assert "x: already contains such runs: continue them with --seeds 1 2 --resume x" in output
