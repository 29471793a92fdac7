"""Several processes train as one: what they compute, what they write, how they stop and go on."""

import copy
import json
import os
import signal
import time

import pytest
import torch
from simulated_torchrun import Company
from simulated_torchrun_work import freeze_statistics, settings_of
from small_setup import SMALL

from lba_cli import processes
from lba_cli.data.loaders import normalize, training_batches
from lba_cli.data.sampler import IdentitySampler
from lba_cli.errors import ConfigError
from lba_cli.model import TwoStreamNetwork
from lba_cli.model.checkpoint import read_checkpoint
from lba_cli.reporting import Silent
from lba_cli.training.distributed import synchronized
from lba_cli.training.loop import Trainer, train
from lba_cli.training.run_folder import RunFolder


def settings(store, **changes):
    values = {section: dict(each) for section, each in SMALL.items()}
    values["data"]["root"] = str(store)
    values["train"].update({"epochs": 3, "steps_per_epoch": 4, **changes})
    return values


def assignments(values):
    return [f"{section}.{key}={value}" for section, each in values.items() for key, value in each.items()]


def as_options(values):
    return [word for assignment in assignments(values) for word in ("--set", assignment)]


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def wait_for_lines(folder, count, seconds=60):
    """Wait until the run has ``count`` epochs behind it."""
    until = time.monotonic() + seconds
    while not folder.metrics.exists() or len(folder.records()) < count:
        assert time.monotonic() < until, "the run doesn't get on"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def reference(tmp_path_factory, store):
    """A run of three processes that was never stopped, and what they said."""
    folder = tmp_path_factory.mktemp("three")
    logs = Company(folder, 3).finish("train", "--output", "run", *as_options(settings(store)))
    return RunFolder(folder / "run"), logs


def test_one_process_writes_and_tells(reference):
    folder, logs = reference
    assert [line["epoch"] for line in folder.records()] == [0, 1, 2]
    assert "3 processes: 36 images a step (3 × 12), 4 steps an epoch" in logs[0]
    assert "the learning rate isn't scaled" in logs[0]
    assert "run is complete" in logs[0]
    for said in logs[1:]:
        assert not said
    assert read_checkpoint(folder.last).training["processes"] == 3


def test_all_end_with_the_same_network(store, tmp_path):
    Company(tmp_path, 2).finish(tmp_path, *assignments(settings(store)), work="simulated_torchrun_work:train_and_keep")
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    assert same(first, second)
    assert same(first, read_checkpoint(tmp_path / "run/checkpoints/last.pt").weights)


@pytest.mark.parametrize("method", ["baseline", "full"])
def test_two_processes_equal_one_on_the_joined_batch(store, source, tmp_path, monkeypatch, method):
    """With frozen statistics of normalisation; the joined batch's loss is the mean of its two halves' losses."""
    values = settings(store, method=method, epochs=1, learning_rate=0.02)
    Company(tmp_path, 2).finish(tmp_path, *assignments(values), work="simulated_torchrun_work:train_frozen")
    monkeypatch.setattr(TwoStreamNetwork, "train", TwoStreamNetwork.train)  # put back what the next line changes
    freeze_statistics()
    run = settings_of(assignments(values))
    alone = Trainer(run, source, RunFolder(tmp_path / "alone"), Silent(), pretrained="none")
    start = copy.deepcopy(alone.network.state_dict())
    totals = take_joined_steps(alone, run, source)
    together = RunFolder(tmp_path / "run")
    assert together.records()[0]["losses"]["total"] == pytest.approx(sum(totals) / len(totals), rel=1e-5)
    found, wanted = read_checkpoint(together.last).weights, alone.network.state_dict()
    moved = (wanted["classifier.weight"] - start["classifier.weight"]).abs().max()
    assert moved > 1e-3
    for name, tensor in wanted.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-3, atol=1e-5, msg=name)


def take_joined_steps(alone, run, source):
    """Take the steps of an epoch on the batches of both processes at once; the loss of each step."""
    recipe, totals = run.train, []
    alone.network.train()
    alone.step.set_rates(0)
    drawn = (recipe.identities, recipe.instances, recipe.seed)
    shares = [IdentitySampler(source.samples, *drawn, steps=recipe.steps_per_epoch, rank=r, size=2) for r in range(2)]
    positions = [(0, step) for step in range(recipe.steps_per_epoch)]
    seeds = (alone.augmentation, recipe.seed, positions)
    for batches in zip(*(training_batches(source, s, *seeds, workers=0, pin=False) for s in shares), strict=True):
        losses = []
        for alone.batches, batch in zip(shares, batches, strict=True):
            halves = [normalize(half) for half in batch[:2]]
            losses.append(alone.step.losses_of(*halves, batch.labels, alone._pairs())["total"])
        joined = torch.stack(losses).mean()
        alone.step.optimizer.zero_grad()
        joined.backward()
        alone.step.optimizer.step()
        alone.progress.step += 1
        totals.append(joined.item())
    return totals


@pytest.mark.parametrize(("number", "stopped"), [(signal.SIGINT, 2), (signal.SIGTERM, 0)])
def test_a_signal_to_one_stops_all_and_the_run_resumes_exactly(reference, store, tmp_path, number, stopped):
    folder = RunFolder(tmp_path / "run")
    company = Company(tmp_path, 3).begin("train", "--output", "run", *as_options(settings(store)))
    wait_for_lines(folder, 1)
    os.kill(company.processes[stopped], number)
    assert simulated_torchrun.statuses() == [128 + number] * 3
    said = "".join(simulated_torchrun.logs())
    assert said.count("stopped in epoch") == 1, said
    assert "Traceback" not in said
    assert len(folder.records()) < 3
    Company(tmp_path, 3).finish("train", "--resume", "run")
    assert folder.metrics.read_bytes() == reference[0].metrics.read_bytes()
    for name in ("last", "best"):
        first, second = (read_checkpoint(getattr(each, name)) for each in (folder, reference[0]))
        assert same(first.weights, second.weights)


def test_a_run_goes_on_with_as_many_processes_only(reference, lba, tmp_path):
    folder = reference[0]
    said = lba("train", "--resume", folder.path, status=2).output
    assert "is a run of 3 processes, which 1 can't go on with" in said


def test_a_mistake_is_told_once(store, tmp_path):
    wrong = as_options(settings(store, identities=50))
    company = Company(tmp_path, 2).begin("train", "--output", "run", *wrong)
    assert simulated_torchrun.statuses() == [2, 2]
    assert "".join(simulated_torchrun.logs()).count("error:") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("how", "words"),
    [("nan", "epoch 0, step 1: the loss 'total' is nan"), ("unreadable", "error: no such image")],
)
def test_what_goes_wrong_in_one_process_ends_all_in_a_line(store, tmp_path, how, words):
    command = ("train", "--output", "run", *as_options(settings(store)))
    company = Company(tmp_path, 2).begin(how, *command, work="simulated_torchrun_work:fail_in_one")
    assert simulated_torchrun.statuses() == [2, 2]
    said = "".join(simulated_torchrun.logs())
    assert words in said
    assert said.count("error:") == 1, said
    assert "Traceback" not in said
    assert not (tmp_path / "run").exists()


def test_a_job_started_again_goes_on_with_its_run(reference, store, tmp_path):
    """The same command, after torchrun has lost a process: its folder is no reason to refuse, another's is."""
    words = ("train", *as_options(settings(store)))
    first = Company(tmp_path, 3).begin(*words)
    until = time.monotonic() + 60
    while not (begun := list(tmp_path.glob("runs/*/metrics.jsonl"))):
        assert time.monotonic() < until, first.logs()
        time.sleep(0.02)
    os.kill(first.processes[1], signal.SIGKILL)
    assert first.statuses() == [2, -signal.SIGKILL, 2]
    assert "".join(first.logs()).count("error: another process of this job was killed") == 1
    Company(tmp_path, 3, attempt=1, store=first.store).finish(*words)
    assert list(tmp_path.glob("runs/*/metrics.jsonl")) == begun
    assert begun[0].read_bytes() == reference[0].metrics.read_bytes()


def test_another_job_does_not_take_the_folder(reference, store, tmp_path):
    company = Company(tmp_path, 2, attempt=1).begin(
        "train", "--output", reference[0].path, *as_options(settings(store))
    )
    assert simulated_torchrun.statuses() == [2, 2]
    assert "".join(simulated_torchrun.logs()).count("holds a run already") == 1


def test_other_commands_are_for_one_process(lba, monkeypatch):
    for name in ("RANK", "LOCAL_RANK", "TORCHELASTIC_RUN_ID"):
        monkeypatch.setenv(name, "0")
    for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        monkeypatch.setenv(name, "2")
    said = lba("prepare", "sysu", status=2).output
    assert "only lba train and lba evaluate share their work" in said


def test_synchronized_statistics_need_gpus_and_company(small_run, source, tmp_path, monkeypatch):
    told = []

    class Listener(Silent):
        def warn(self, message):
            told.append(message)

    train(small_run(train__sync_batchnorm=True, train__epochs=1), source, RunFolder(tmp_path / "run"), Listener())
    assert told == ["train.sync_batchnorm has no effect on a run in one process"]
    monkeypatch.setattr(processes, "_current", processes.World(size=2))
    with pytest.raises(ConfigError, match="SyncBatchNorm needs CUDA devices"):
        synchronized(TwoStreamNetwork("resnet18", 3), torch.device("cpu"), Silent())


def test_torchruns_environment_with_one_process_changes_nothing(store, tmp_path, lba):
    """One process under torchrun goes through DDP, with the same bits."""
    words = ["train", "--output", tmp_path / "run", *as_options(settings(store, epochs=2))]
    Company(tmp_path, 1).finish(*words)
    words[2] = tmp_path / "alone"
    lba(*words)
    first, second = (RunFolder(tmp_path / name) for name in ("run", "alone"))
    assert json.loads(first.metrics.read_text().splitlines()[1])["epoch"] == 1
    assert first.metrics.read_bytes() == second.metrics.read_bytes()
    assert same(read_checkpoint(first.last).weights, read_checkpoint(second.last).weights)
