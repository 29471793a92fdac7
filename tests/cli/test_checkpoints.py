"""Which checkpoint a command takes, and what it says about it: last.pt, --best, and files that don't know their image size."""

import json
from dataclasses import replace

import pytest
import torch

from lba_cli.model.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from lba_cli.model.initial_weights import build_network
from lba_cli.model.official_layout import our_name, to_released
from lba_cli.training.run_folder import RunFolder

CHOSEN = "this epoch was chosen by its mAP on these test people"


@pytest.fixture
def image(tiny):
    return min((tiny / "cam1").rglob("*.jpg"))


@pytest.fixture
def run(network_file, tmp_path):
    """A run's folder, whose last and best checkpoints have different epochs."""
    folder = RunFolder(tmp_path / "runs" / "a")
    checkpoint = read_checkpoint(network_file)
    figures = {"figures": {"rank1": 0.5, "mAP": 0.4}, "figures_setting": "all-search, single-shot"}
    write_checkpoint(folder.last, with_facts(checkpoint, epoch=7, **figures))
    write_checkpoint(folder.best, with_facts(checkpoint, epoch=4, selected_on="test", **figures))
    return folder


def with_facts(checkpoint, **facts):
    return Checkpoint(replace(checkpoint.description, **facts), checkpoint.weights)


def scored(lba, tmp_path, *words):
    """Evaluate; return the output on one line, and the JSON."""
    result = lba("evaluate", *words, "--mode", "all-search", "--json", "f.json", "--force", "--markdown", "t.md")
    return " ".join(result.output.split()), json.loads((tmp_path / "f.json").read_text())


def test_without_a_name_the_last_checkpoint_is_scored(lba, run, tmp_path):
    output, content = scored(lba, tmp_path)
    assert "checkpoint: runs/a/checkpoints/last.pt, of the newest run" in output
    assert (content["epoch"], content["results"][0]["selected_on"], content["results"][0]["note"]) == (7, None, "")
    assert CHOSEN not in output


@pytest.mark.parametrize("words", [("--best",), ("runs/a/checkpoints/best.pt",)])
def test_the_best_checkpoint_is_scored_on_demand_and_called_chosen(lba, run, tmp_path, words):
    output, content = scored(lba, tmp_path, *words)
    assert f"runs/a/checkpoints/best.pt: {CHOSEN}" in output
    assert CHOSEN in (tmp_path / "t.md").read_text()
    assert content["epoch"] == 4
    assert content["results"][0]["selected_on"] == "test"
    assert CHOSEN in content["results"][0]["note"]


def test_a_model_is_not_called_chosen_on_other_people(lba, run, tmp_path, network_file):
    best = read_checkpoint(run.best)
    write_checkpoint(run.best, with_facts(best, dataset="another", epoch=4))
    output, content = scored(lba, tmp_path, "--best")
    assert CHOSEN not in output
    assert content["results"][0]["selected_on"] is None


@pytest.mark.slow
def test_the_model_card_says_how_the_epoch_was_chosen(lba, run, tmp_path):
    for words, sentence in {
        (): "The epoch was not chosen by these figures.",
        ("--best",): "**The epoch was chosen by its mAP on these test people**",
    }.items():
        lba("export", *words, "--format", "safetensors", "--output", "a.safetensors", "--force")
        assert sentence in (tmp_path / "a.safetensors.md").read_text()
    assert read_checkpoint(tmp_path / "a.safetensors").description.selected_on == "test"


@pytest.mark.parametrize(
    "command",
    [
        ("embed", "0001.jpg", "--modality", "visible", "--output", "e.npz"),
        ("search", "build", "0001.jpg", "--modality", "visible", "--index", "g"),
        pytest.param(("visualize", "masks", "--people", "1"), marks=pytest.mark.slow),
    ],
)
def test_other_commands_take_the_same_checkpoints(lba, run, image, tmp_path, command):
    (tmp_path / "0001.jpg").write_bytes(image.read_bytes())
    assert "runs/a/checkpoints/last.pt, of the newest run" in lba(*command).output
    assert "runs/a/checkpoints/best.pt" in lba(*command, "--best", "--force").output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("--best", "--checkpoint", "runs/a/checkpoints/last.pt"),
            "not a folder, but --best selects best.pt in a run folder",
        ),
        (("--best", "--checkpoint", "runs/b"), "best.pt: no such file; it is written at the run's first evaluation"),
        (("--checkpoint", "runs"), "runs: not a run folder: it has no checkpoints/last.pt"),
        (("--best", "--features", "f.npz"), "leave out --best"),
    ],
)
def test_what_cannot_be_taken_is_refused(lba, run, words, message):
    RunFolder(run.path.with_name("b")).last.parent.mkdir(parents=True)
    RunFolder(run.path.with_name("b")).last.write_bytes(run.last.read_bytes())
    assert message in " ".join(lba("evaluate", *words, status=2).output.split())


@pytest.fixture
def foreign(monkeypatch, tmp_path):
    """A file in the released layout, of a small network."""
    monkeypatch.setattr("lba_cli.model.checkpoint.BACKBONE", "resnet18")
    state = to_released(build_network("resnet18", 5, "none", seed=0).state_dict())
    torch.save({name: value for name, value in state.items() if our_name(name)}, tmp_path / "theirs.t")
    return tmp_path / "theirs.t"


@pytest.mark.slow
def test_the_image_size_of_a_foreign_file_is_a_setting(lba, foreign, tiny, image, tmp_path):
    size = ("--set", "data.height=64", "--set", "data.width=32", "--checkpoint", foreign)
    output = lba("evaluate", *size, "--data", tiny, "--mode", "all-search").output
    assert "doesn't record its image size" not in output
    assert "trained on unknown data" not in output
    lba("export", *size, "--format", "safetensors", "--output", "a.safetensors")
    description = read_checkpoint(tmp_path / "a.safetensors").description
    assert (description.height, description.width, description.dataset) == (64, 32, "")
    lba("embed", image, "--modality", "visible", "--output", "e.npz", *size)
    lba("visualize", "masks", "--people", "1", "--data", tiny, *size)


def test_the_usual_image_size_is_assumed_with_a_word(lba, foreign, image):
    output = lba("embed", image, "--modality", "visible", "--output", "e.npz", "--checkpoint", foreign)
    assert "theirs.t doesn't record its image size: 288×144 is assumed" in " ".join(output.output.split())


@pytest.mark.slow
def test_a_run_starts_from_the_folder_of_another(lba, run, store, small_yaml, tmp_path):
    words = ("--config", small_yaml, "--data", store, "--set", "train.epochs=1", "--set", "train.steps_per_epoch=1")
    lba("train", *words, "--output", "new", "--set", "model.pretrained=runs/a", "--set", "train.learning_rate=1e-9")
    before, after = (read_checkpoint(folder.last).weights for folder in (run, RunFolder(tmp_path / "new")))
    torch.testing.assert_close(after["trunk.layer4.1.conv2.weight"], before["trunk.layer4.1.conv2.weight"])
    result = lba("train", *words, "--output", "other", "--set", "model.pretrained=runs", status=2)
    assert "runs: not a run folder" in " ".join(result.output.split())
