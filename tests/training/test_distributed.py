"""Training in several processes: what they compute and write, and how they stop and resume."""

import copy
import json
import os
import signal
import time

import pytest
import torch
from fake_listener import Recorder
from simulated_torchrun import SimulatedJob
from simulated_torchrun_work import config_of, freeze_statistics
from small_setup import SMALL

from lba_cli import processes
from lba_cli.data.loaders import normalize, training_batches
from lba_cli.data.sampler import IdentitySampler
from lba_cli.errors import ConfigError
from lba_cli.model import TwoStreamNetwork
from lba_cli.model.checkpoint import read_checkpoint
from lba_cli.reporting import Silent
from lba_cli.training.distributed import synchronize_statistics
from lba_cli.training.loop import Trainer, train
from lba_cli.training.run_folder import RunFolder


def config_values(store, **changes):
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
    """Wait until ``count`` epochs are complete."""
    until = time.monotonic() + seconds
    while not folder.metrics.exists() or len(folder.records()) < count:
        assert time.monotonic() < until, "the run makes no progress"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def reference(tmp_path_factory, store):
    """A run of three processes that was never stopped, and their logs."""
    folder = tmp_path_factory.mktemp("three")
    logs = SimulatedJob(folder, 3).finish("train", "--output", "run", *as_options(config_values(store)))
    return RunFolder(folder / "run"), logs


@pytest.mark.slow
def test_only_one_process_writes_and_prints(reference):
    folder, logs = reference
    assert [line["epoch"] for line in folder.records()] == [0, 1, 2]
    assert "3 processes: 36 images a step (3 × 12), 4 steps an epoch" in logs[0]
    assert "the learning rate isn't scaled" in logs[0]
    assert "run is complete" in logs[0]
    for said in logs[1:]:
        assert not said
    assert read_checkpoint(folder.last).training["processes"] == 3


@pytest.mark.slow
def test_all_processes_end_with_the_same_network(store, tmp_path):
    SimulatedJob(tmp_path, 2).finish(
        tmp_path, *assignments(config_values(store)), work="simulated_torchrun_work:train_and_save"
    )
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    assert same(first, second)
    assert same(first, read_checkpoint(tmp_path / "run/checkpoints/last.pt").weights)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["baseline", "full", "agw", "caj"])
def test_two_processes_equal_one_on_the_joined_batch(store, source, tmp_path, monkeypatch, method):
    """Statistics of normalisation are frozen; the loss of the joined batch is the mean of the losses of its halves."""
    values = config_values(store, method=method, epochs=1, learning_rate=0.02)
    SimulatedJob(tmp_path, 2).finish(tmp_path, *assignments(values), work="simulated_torchrun_work:train_frozen")
    monkeypatch.setattr(TwoStreamNetwork, "train", TwoStreamNetwork.train)  # is restored after the test
    freeze_statistics()
    config = config_of(assignments(values))
    alone = Trainer(config, source, RunFolder(tmp_path / "alone"), Silent(), pretrained="none")
    start = copy.deepcopy(alone.network.state_dict())
    totals = take_joined_steps(alone, config, source)
    together = RunFolder(tmp_path / "run")
    assert together.records()[0]["losses"]["total"] == pytest.approx(sum(totals) / len(totals), rel=1e-5)
    found, wanted = read_checkpoint(together.last).weights, alone.network.state_dict()
    moved = (wanted["classifier.weight"] - start["classifier.weight"]).abs().max()
    assert moved > 1e-3
    for name, tensor in wanted.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-3, atol=1e-5, msg=name)


def take_joined_steps(alone, config, source):
    """Take the steps of an epoch, each on the batches of both processes; return the losses."""
    recipe, totals = config.train, []
    alone.network.train()
    alone.step.set_learning_rates(0)
    drawn = (recipe.identities, recipe.instances, recipe.seed)
    shares = [IdentitySampler(source.samples, *drawn, steps=recipe.steps_per_epoch, rank=r, size=2) for r in range(2)]
    positions = [(0, step) for step in range(recipe.steps_per_epoch)]
    seeds = (alone.augmentation, recipe.seed, positions)
    for batches in zip(*(training_batches(source, s, *seeds, workers=0, pin=False) for s in shares), strict=True):
        losses = []
        for alone.sampler, batch in zip(shares, batches, strict=True):
            halves = [normalize(half) for half in batch[:2]]
            losses.append(alone.step.evaluate(*halves, batch.labels, alone._pair_drawer()).losses["total"])
        joined = torch.stack(losses).mean()
        alone.step.optimizer.zero_grad()
        joined.backward()
        alone.step.optimizer.step()
        alone.progress.step += 1
        totals.append(joined.item())
    return totals


@pytest.mark.slow
@pytest.mark.parametrize(("number", "stopped"), [(signal.SIGINT, 2), (signal.SIGTERM, 0)])
def test_a_signal_to_one_process_stops_all_and_the_run_resumes_exactly(reference, store, tmp_path, number, stopped):
    folder = RunFolder(tmp_path / "run")
    job = SimulatedJob(tmp_path, 3).begin("train", "--output", "run", *as_options(config_values(store)))
    wait_for_lines(folder, 1)
    os.kill(job.processes[stopped], number)
    assert job.statuses() == [128 + number] * 3
    said = "".join(job.logs())
    assert said.count("stopped in epoch") == 1, said
    assert "Traceback" not in said
    assert len(folder.records()) < 3
    SimulatedJob(tmp_path, 3).finish("train", "--resume", "run")
    assert folder.metrics.read_bytes() == reference[0].metrics.read_bytes()
    for name in ("last", "best"):
        first, second = (read_checkpoint(getattr(each, name)) for each in (folder, reference[0]))
        assert same(first.weights, second.weights)


@pytest.mark.slow
def test_a_run_resumes_only_with_as_many_processes(reference, lba, tmp_path):
    folder = reference[0]
    said = lba("train", "--resume", folder.path, status=2).output
    assert "the number of processes was 3 and is now 1, which would change the batches" in said


def test_a_mistake_is_reported_once(store, tmp_path):
    wrong = as_options(config_values(store, identities=50))
    job = SimulatedJob(tmp_path, 2).begin("train", "--output", "run", *wrong)
    assert job.statuses() == [2, 2]
    assert "".join(job.logs()).count("error:") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("how", "words"),
    [("nan", "epoch 0, step 1: the loss 'total' is nan"), ("unreadable", "error: no such image")],
)
def test_an_error_in_one_process_ends_all_with_one_line(store, tmp_path, how, words):
    command = ("train", "--output", "run", *as_options(config_values(store)))
    job = SimulatedJob(tmp_path, 2).begin(how, *command, work="simulated_torchrun_work:fail_in_one")
    assert job.statuses() == [2, 2]
    said = "".join(job.logs())
    assert words in said
    assert said.count("error:") == 1, said
    assert "Traceback" not in said
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_restarted_job_continues_its_run(reference, store, tmp_path):
    """torchrun runs the same command again after it has lost a process; the job may use the folder that it has begun."""
    words = ("train", *as_options(config_values(store)))
    first = SimulatedJob(tmp_path, 3).begin(*words)
    until = time.monotonic() + 60
    while not (begun := list(tmp_path.glob("runs/*/metrics.jsonl"))):
        assert time.monotonic() < until, first.logs()
        time.sleep(0.02)
    os.kill(first.processes[1], signal.SIGKILL)
    assert first.statuses() == [2, -signal.SIGKILL, 2]
    assert "".join(first.logs()).count("error: another process of this job was killed") == 1
    SimulatedJob(tmp_path, 3, attempt=1, store=first.store).finish(*words)
    assert list(tmp_path.glob("runs/*/metrics.jsonl")) == begun
    assert begun[0].read_bytes() == reference[0].metrics.read_bytes()


@pytest.mark.slow
def test_another_job_does_not_use_the_folder(reference, store, tmp_path):
    job = SimulatedJob(tmp_path, 2, attempt=1).begin(
        "train", "--output", reference[0].path, *as_options(config_values(store))
    )
    assert job.statuses() == [2, 2]
    assert "".join(job.logs()).count("holds a run already") == 1


def test_other_commands_refuse_several_processes(lba, monkeypatch):
    for name in ("RANK", "LOCAL_RANK", "TORCHELASTIC_RUN_ID"):
        monkeypatch.setenv(name, "0")
    for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        monkeypatch.setenv(name, "2")
    said = lba("prepare", "sysu", status=2).output
    assert "only lba train, evaluate, embed and search build run in several processes" in said


@pytest.mark.slow
def test_synchronized_statistics_need_several_processes_on_gpus(small_run, source, tmp_path, monkeypatch):
    listener = Recorder()
    train(small_run(train__sync_batchnorm=True, train__epochs=1), source, RunFolder(tmp_path / "run"), listener)
    assert listener.warnings == ["train.sync_batchnorm has no effect on a run in one process"]
    monkeypatch.setattr(processes, "_current", processes.World(size=2))
    with pytest.raises(ConfigError, match="SyncBatchNorm needs CUDA devices"):
        synchronize_statistics(TwoStreamNetwork("resnet18", 3), torch.device("cpu"), Silent())


@pytest.mark.slow
def test_one_process_under_torchrun_gives_the_same_bits(store, tmp_path, lba):
    """The process computes its gradients by DDP."""
    words = ["train", "--output", tmp_path / "run", *as_options(config_values(store, epochs=2))]
    SimulatedJob(tmp_path, 1).finish(*words)
    words[2] = tmp_path / "alone"
    lba(*words)
    first, second = (RunFolder(tmp_path / name) for name in ("run", "alone"))
    assert json.loads(first.metrics.read_text().splitlines()[1])["epoch"] == 1
    assert first.metrics.read_bytes() == second.metrics.read_bytes()
    assert same(read_checkpoint(first.last).weights, read_checkpoint(second.last).weights)


def test_the_cause_that_nccl_gives_is_passed_on():
    """NCCL's message has four lines, of which the last names the cause; gloo's has none."""
    nccl = (
        "NCCL error in: ProcessGroupNCCL.cpp:3384, unhandled system error (run with NCCL_DEBUG=INFO for details), NCCL 2.27\n"
        "ncclSystemError: System call (e.g. socket, malloc) or external library call failed or device error.\n"
        "Last error:\n"
        "Error while creating shared memory segment /dev/shm/nccl-x (size 33030528), error: No space left on device (28)\n"
    )
    assert processes._cause(nccl).startswith("Error while creating shared memory segment")
    assert processes._cause(nccl[: nccl.index("Error while")]).startswith("ncclSystemError: System call")
    assert processes._cause("Connection closed by peer [127.0.0.1]:2") == ""
