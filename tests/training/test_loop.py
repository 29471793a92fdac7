"""Runs are reproducible, resume exactly, are never overwritten, and stop at losses that are not finite."""

import copy
import itertools
import json
import os
import signal
import threading

import pytest
import torch
import yaml
from fake_listener import Recorder

from lba_cli.compute import mixed_precision
from lba_cli.data.loaders import normalize
from lba_cli.errors import DataError, Interrupted, LbaError, TrainingError
from lba_cli.methods import Objective
from lba_cli.model.checkpoint import read_checkpoint
from lba_cli.reporting import Silent
from lba_cli.training.loop import train
from lba_cli.training.run_folder import RunFolder
from lba_cli.training.state import require_same_run
from lba_cli.training.step import TrainingStep

LOSSES = {
    "identity",
    "hard_triplet",
    "identity_consistency_stage3",
    "identity_consistency_stage4",
    "dense_triplet",
    "total",
}
WEIGHTS = {"dense_triplet": 0.5}


def metrics(folder):
    return folder.metrics.read_bytes()


def same_weights(first, second):
    return all(torch.equal(first.weights[name], second.weights[name]) for name in first.weights)


@pytest.fixture(scope="module")
def reference(tmp_path_factory, store, source):
    """The config and the folder of a run of three epochs that was never stopped."""
    from small_setup import SMALL

    from lba_cli.config import ConfigLayer, resolve_config

    values = {**SMALL, "data": {**SMALL["data"], "root": str(store)}, "train": {**SMALL["train"], "epochs": 3}}
    run = resolve_config([ConfigLayer(values, "the test")])
    folder = RunFolder(tmp_path_factory.mktemp("runs") / "reference")
    train(run, source, folder, Silent())
    return run, folder


def test_files_of_a_run(reference):
    _, folder = reference
    lines = folder.records()
    assert [line["epoch"] for line in lines] == [0, 1, 2]
    for line in lines:
        assert set(line["losses"]) == LOSSES
        losses = line["losses"]
        assert losses["total"] == pytest.approx(
            sum(losses[name] * WEIGHTS.get(name, 1.0) for name in LOSSES - {"total"})
        )
        assert set(line["diagnostics"]) == {"correct_triplets", "gradient_norm"}
        assert 0 <= line["diagnostics"]["correct_triplets"] <= 1
        assert line["diagnostics"]["gradient_norm"] > 0
    scored = [line for line in lines if "evaluation" in line]
    assert [line["epoch"] for line in scored] == [1, 2], "every second epoch, and the last"
    for line in scored:
        assert len(line["evaluation"]["cmc"]) == 20
        assert 0 < line["evaluation"]["mAP"] <= 1
    last, best = read_checkpoint(folder.last), read_checkpoint(folder.best)
    assert (last.description.epoch, last.description.dataset) == (2, "synthetic-tiny")
    assert not best.training
    assert best.description.figures["mAP"] == max(line["evaluation"]["mAP"] for line in scored)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_run(reference, source, tmp_path):
    run, folder = reference
    again = RunFolder(tmp_path / "again")
    train(run, source, again, Silent())
    assert metrics(again) == metrics(folder)
    assert same_weights(read_checkpoint(again.last), read_checkpoint(folder.last))


@pytest.mark.slow
def test_images_cached_on_the_device_give_the_same_run(reference, source, tmp_path, small_run):
    _, folder = reference
    other = RunFolder(tmp_path / "run")
    train(small_run(train__epochs=3, data__device_cache=True), source, other, Silent())
    assert metrics(other) == metrics(folder)
    assert same_weights(read_checkpoint(other.last), read_checkpoint(folder.last))


@pytest.mark.slow
def test_the_saved_config_alone_reproduces_the_run(reference, source, tmp_path):
    from lba_cli.config import ConfigLayer, resolve_config

    _, folder = reference
    again = RunFolder(tmp_path / "again")
    train(resolve_config([ConfigLayer.from_file(folder.config)]), source, again, Silent())
    assert metrics(again) == metrics(folder)


def test_the_saved_config_says_what_auto_meant(source, tmp_path, small_run):
    folder = RunFolder(tmp_path / "run")
    train(small_run(train__epochs=1, train__precision="auto", run__device="auto"), source, folder, Silent())
    saved = yaml.safe_load(folder.config.read_text())
    evaluation = saved.pop("evaluation")
    assert "auto" not in yaml.safe_dump(saved)
    assert (evaluation["mode"], evaluation["shots"]) == ("auto", "auto")  # they depend on the data that is evaluated


def test_a_folder_belongs_to_the_run_that_claimed_it(source, tmp_path, small_run):
    run, folder = small_run(train__epochs=1), RunFolder(tmp_path / "run")
    with folder.claimed(run):
        with pytest.raises(TrainingError, match="holds a run already"):
            train(run, source, folder, Silent())
        assert folder.config.exists()
    assert not folder.path.exists(), "a run without a checkpoint leaves nothing"


def test_a_run_cannot_resume_with_other_data(reference, source):
    run, folder = reference

    class Changed:
        name, height, width, permutations, samples = source.name, source.height, source.width, None, source.samples
        dataset, trial = source.dataset, source.trial
        fingerprint, read, check, content = "other", source.read, source.check, ""

    with pytest.raises(TrainingError, match="the data changed after the run was started"):
        train(run, Changed(), folder, Silent(), read_checkpoint(folder.last))


def test_a_network_that_an_update_breaks_is_not_saved(source, tmp_path, small_run, monkeypatch):
    folder = RunFolder(tmp_path / "run")
    step = TrainingStep.__call__

    def breaking(self, *batch):
        values = step(self, *batch)
        with torch.no_grad():
            self.network.classifier.weight[0, 0] = torch.inf
        return values

    monkeypatch.setattr(TrainingStep, "__call__", breaking)
    with pytest.raises(
        TrainingError, match=r"diverged in epoch 0, step 0: its update made 'classifier.weight' infinite"
    ):
        train(small_run(train__steps_per_epoch=1), source, folder, Silent())
    assert not folder.path.exists()


def test_another_seed_gives_another_run(reference, source, tmp_path, small_run):
    other = RunFolder(tmp_path / "other")
    train(small_run(train__seed=1, train__epochs=1), source, other, Silent())
    assert metrics(other) != metrics(reference[1])


class StopAt(Silent):
    """Sends this process a signal when a task whose description starts with ``title`` begins."""

    def __init__(self, title, number=signal.SIGINT):
        self.title, self.number = title, number

    def task(self, description, total=None, unit="", done=0):
        if description.startswith(self.title):
            os.kill(os.getpid(), self.number)
        return super().task(description, total, unit, done)


@pytest.mark.parametrize(
    ("title", "number"),
    [
        ("epoch 2", signal.SIGINT),
        pytest.param("epoch 2", signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param("ranking", signal.SIGINT, marks=pytest.mark.slow),
    ],
)
def test_a_stopped_run_resumes_exactly(reference, source, tmp_path, title, number):
    run, folder = reference
    stopped = RunFolder(tmp_path / "stopped")
    with pytest.raises(Interrupted, match="--resume") as caught:
        train(run, source, stopped, StopAt(title, number))
    assert caught.value.signal == number
    state = read_checkpoint(stopped.last)
    train(run, source, stopped, Silent(), state)
    assert metrics(stopped) == metrics(folder)
    assert same_weights(read_checkpoint(stopped.last), read_checkpoint(folder.last))
    assert same_weights(read_checkpoint(stopped.best), read_checkpoint(folder.best))


def test_signal_handlers_are_restored(reference, source, tmp_path, small_run):
    before = signal.getsignal(signal.SIGINT)
    train(small_run(train__epochs=1), source, RunFolder(tmp_path / "x"), Silent())
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.slow
def test_a_run_in_a_thread_leaves_signals_alone(source, tmp_path, small_run):
    thread = threading.Thread(
        target=train, args=(small_run(train__epochs=1), source, RunFolder(tmp_path / "x"), Silent())
    )
    thread.start()
    thread.join()
    assert RunFolder(tmp_path / "x").last.is_file()


@pytest.mark.slow
def test_records_after_the_last_checkpoint_are_written_again(reference, source, tmp_path, small_run):
    """A run that is killed between a line of metrics.jsonl and its checkpoint doesn't get the line twice."""
    run, folder = reference
    copy = RunFolder(tmp_path / "copy")
    train(small_run(train__epochs=2), source, copy, Silent())
    copy.append({"epoch": 2, "losses": {}})
    train(run, source, copy, Silent(), read_checkpoint(copy.last))
    assert metrics(copy) == metrics(folder)


def test_an_existing_run_is_refused(reference, tmp_path):
    _, folder = reference
    with pytest.raises(TrainingError, match="holds a run already: continue it with --resume"):
        folder.require_new()
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(LbaError, match="isn't an empty folder"):
        RunFolder(tmp_path).require_new()


def test_config_keys_that_change_the_result_cannot_change_on_resume(reference):
    run, _folder = reference
    before = run.values()
    require_same_run(before, run.model_copy(update={"data": run.data.model_copy(update={"workers": 3})}), "x")
    changed = run.model_copy(update={"train": run.train.model_copy(update={"learning_rate": 0.5, "seed": 4})})
    with pytest.raises(TrainingError, match=r"train.seed: 0 → 4; train.learning_rate: 0.1 → 0.5"):
        require_same_run(before, changed, "x")


def test_a_checkpoint_without_training_state_cannot_be_resumed(reference, source, tmp_path):
    run, folder = reference
    with pytest.raises(TrainingError, match="can't be resumed"):
        train(run, source, RunFolder(tmp_path / "x"), Silent(), read_checkpoint(folder.best))


def test_a_loss_that_is_not_finite_stops_the_run(source, tmp_path, small_run, monkeypatch):
    folder = RunFolder(tmp_path / "run")
    run = small_run(train__epochs=2, train__steps_per_epoch=4)
    step, calls = TrainingStep.__call__, itertools.count()

    def poisoned(self, *batch):
        values = step(self, *batch)
        if next(calls) == 4 + 2:
            values.losses["dense_triplet"] = values.losses["dense_triplet"] * float("nan")
        return values

    monkeypatch.setattr(TrainingStep, "__call__", poisoned)
    with pytest.raises(
        TrainingError, match=r"epoch 1, step 2: the loss 'dense_triplet' is nan; .*last.pt is the state after epoch 0"
    ):
        train(run, source, folder, Silent())
    saved = read_checkpoint(folder.last)
    assert saved.description.epoch == 0
    assert [record["epoch"] for record in folder.records()] == [0]


def test_fewer_identities_than_a_batch_needs_are_refused(source, tmp_path, small_run):
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(DataError, match="train.identities=12"):
        train(small_run(train__identities=20), source, folder, Silent())
    assert not folder.path.exists(), "a run that can't start leaves nothing"


def test_a_run_without_test_images_is_not_evaluated(source, tmp_path, small_run):
    class TrainOnly:
        name, height, width, permutations = source.name, source.height, source.width, None
        samples = tuple(s for s in source.samples if s.split == "train")
        dataset, trial = source.dataset, source.trial
        read, check, fingerprint, content = source.read, source.check, source.fingerprint, ""

    listener, folder = Recorder(), RunFolder(tmp_path / "run")
    train(small_run(train__epochs=1), TrainOnly(), folder, listener)
    assert "there are no test images" in listener.warnings[0]
    assert "evaluation" not in folder.records()[0]
    assert folder.best.is_file()


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"train__method": "baseline"}, marks=pytest.mark.slow),
        pytest.param({"train__precision": "bfloat16"}, marks=pytest.mark.long),  # minutes where bfloat16 is emulated
    ],
)
def test_training_lowers_the_identity_loss(source, tmp_path, small_run, changes):
    folder = RunFolder(tmp_path / "run")
    recipe = {"train__epochs": 6, "train__steps_per_epoch": 4, "train__evaluate_every": 0, "train__warmup_epochs": 0}
    rates = {"train__learning_rate": 0.003, "train__backbone_lr_multiplier": 1.0}
    train(small_run(**{**recipe, **rates, **changes}), source, folder, Silent())
    losses = [record["losses"]["identity"] for record in folder.records()]
    assert losses[-1] < 0.95 * losses[0]


@pytest.mark.slow
def test_tensorboard_gets_losses_and_figures(source, tmp_path, small_run):
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    folder = RunFolder(tmp_path / "run")
    train(small_run(train__epochs=1, train__tensorboard=True), source, folder, Silent())
    found = events.EventAccumulator(str(folder.path / "tensorboard")).Reload()
    record = folder.records()[0]
    for tag, value in {
        "loss/dense_triplet": record["losses"]["dense_triplet"],
        "diagnostics/gradient_norm": record["diagnostics"]["gradient_norm"],
        "evaluation/mAP": record["evaluation"]["mAP"],
        "learning_rate": record["learning_rate"],
    }.items():
        (event,) = found.Scalars(tag)
        assert event.value == pytest.approx(value)


def test_damaged_metrics_are_reported_with_their_line(tmp_path):
    folder = RunFolder(tmp_path)
    folder.metrics.write_text(json.dumps({"epoch": 0}) + "\nnonsense\n")
    with pytest.raises(LbaError, match=r"metrics.jsonl:2: not JSON"):
        folder.records()


@pytest.mark.slow
def test_mixed_precision_sees_the_weights_of_every_step(source, tmp_path, small_run, monkeypatch):
    """Autocast caches rounded weights within its block, so a block longer than a step would train on stale ones."""
    step, compared = TrainingStep.__call__, []

    def checked(self, batch, draw_pairs):
        twin = copy.deepcopy(self.network)  # its weights are new tensors, so none of them is cached
        images, pairs = [normalize(half) for half in batch[:2]], draw_pairs()
        with torch.no_grad(), mixed_precision("bfloat16", torch.device("cpu")):
            wanted = Objective("full")(twin, *images, batch.labels, pairs)["total"]
        values = step(self, batch, lambda: pairs)
        compared.append(values.losses["total"].item() == pytest.approx(wanted.item(), rel=1e-6))
        return values

    monkeypatch.setattr(TrainingStep, "__call__", checked)
    run = small_run(train__epochs=1, train__steps_per_epoch=4, train__precision="bfloat16", train__learning_rate=1.0)
    train(run, source, RunFolder(tmp_path / "run"), Silent())
    assert compared == [True] * 4
