"""Trainings that diverge: the reason, a remedy, and what is left of the run."""

import pytest
import torch

from lba_cli.errors import TrainingError
from lba_cli.model.checkpoint import read_checkpoint
from lba_cli.reporting import Silent
from lba_cli.training.loop import train
from lba_cli.training.run_folder import RunFolder
from lba_cli.training.step import TrainingStep


def grown_at(monkeypatch, call):
    """Let the weights of layer4 grow beyond bounds in a step, counted from 0: batch normalisation hides it in training."""
    step, calls = TrainingStep.__call__, iter(range(1000))

    def growing(self, *batch):
        values = step(self, *batch)
        if next(calls) == call:
            with torch.no_grad():
                self.network.trunk["layer4"][0].conv1.weight.mul_(1e30)
                self.network.trunk["layer4"][0].bn1.running_var.fill_(0)
        return values

    monkeypatch.setattr(TrainingStep, "__call__", growing)


@pytest.mark.parametrize("evaluate_every", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_network_that_overflows_in_inference_is_not_saved(source, tmp_path, small_run, monkeypatch, evaluate_every):
    folder = RunFolder(tmp_path / "run")
    run = small_run(train__epochs=3, train__steps_per_epoch=1, train__evaluate_every=evaluate_every)
    grown_at(monkeypatch, 1)
    with pytest.raises(TrainingError) as caught:
        train(run, source, folder, Silent())
    message = str(caught.value)
    assert message.startswith("training diverged in epoch 1, step 0: the network's embeddings are not finite; ")
    assert "a train.learning_rate below 0.1, or with train.clip_grad_norm. " in message
    assert f"{folder.last} is the state after epoch 0" in message
    assert f"model.pretrained={folder.path}" in message
    assert "\n" not in message
    assert read_checkpoint(folder.last).description.epoch == 0
    assert folder.best.exists() == bool(evaluate_every)


@pytest.mark.slow
def test_the_remedy_works(source, tmp_path, small_run, monkeypatch):
    folder, again = RunFolder(tmp_path / "run"), RunFolder(tmp_path / "again")
    with monkeypatch.context() as patch:
        grown_at(patch, 1)
        with pytest.raises(TrainingError, match="diverged"):
            train(small_run(train__epochs=2, train__steps_per_epoch=1), source, folder, Silent())
    lower = {"train__learning_rate": 0.01, "model__pretrained": str(folder.path)}
    train(small_run(train__epochs=1, train__steps_per_epoch=1, **lower), source, again, Silent())
    assert again.last.is_file()


def test_a_run_that_diverges_at_once_says_that_it_has_no_checkpoint(source, tmp_path, small_run):
    folder = RunFolder(tmp_path / "run")
    run = small_run(train__steps_per_epoch=4, train__warmup_epochs=0, train__learning_rate=1e20)
    with pytest.raises(TrainingError, match=r"diverged in epoch 0, .* below 1e\+20.* This run has no checkpoint"):
        train(run, source, folder, Silent())
    assert not folder.path.exists()


@pytest.mark.slow
def test_bfloat16_is_a_reason_as_well(source, tmp_path, small_run, monkeypatch):
    grown_at(monkeypatch, 0)
    with pytest.raises(TrainingError, match=r"or with train\.precision=float32"):
        train(
            small_run(train__steps_per_epoch=1, train__precision="bfloat16"),
            source,
            RunFolder(tmp_path / "r"),
            Silent(),
        )
