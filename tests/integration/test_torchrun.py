"""Training and evaluation under torchrun itself: a killed process, resumption, restarts, and two "machines"."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from reliability.processes import children_of
from simulated_torchrun import SimulatedJob
from small_setup import SMALL

from lba_cli.model.checkpoint import read_checkpoint
from lba_cli.training.run_folder import RunFolder

ROOT = Path(__file__).parent.parent.parent
ALONE = ("--standalone", "--nproc-per-node=2")


def begin(folder, where, *words):
    """Start torchrun. Its output goes to a file, because processes that it starts may outlive it."""
    command = [sys.executable, "-m", "torch.distributed.run", *where, "-m", "lba_cli", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    log = folder / f"log-{time.monotonic_ns()}.txt"
    with log.open("w") as end:
        process = subprocess.Popen(list(map(str, command)), cwd=folder, env=environment, stdout=end, stderr=end)
    process.log = log
    return process


def output_of(process):
    return process.log.read_text()


def finish(*processes):
    for process in processes:
        assert process.wait(timeout=120) == 0, output_of(process)


def kill_one(process, folder, lines=1):
    """Send SIGKILL to the second process that torchrun has started, when the run has recorded ``lines`` epochs."""
    until = time.monotonic() + 100
    while not folder.metrics.exists() or len(folder.records()) < lines:
        assert time.monotonic() < until, output_of(process)
        assert process.poll() is None, output_of(process)
        time.sleep(0.02)
    os.kill(sorted(children_of(process.pid))[1], signal.SIGKILL)


def assert_same_runs(first, second):
    assert first.metrics.read_bytes() == second.metrics.read_bytes()
    for name in ("last", "best"):
        weights, others = (read_checkpoint(getattr(run, name)).weights for run in (first, second))
        assert all(torch.equal(weights[key], others[key]) for key in weights)


@pytest.fixture(scope="module")
def reference(tmp_path_factory, store):
    """A run of two processes that was never stopped, and its config. Simulated processes start faster than torchrun's."""
    folder = tmp_path_factory.mktemp("torchrun")
    train = {**SMALL["train"], "epochs": 3, "steps_per_epoch": 4, "method": "baseline"}
    values = {**SMALL, "data": {**SMALL["data"], "root": str(store)}, "train": train}
    config = folder / "run.yaml"
    config.write_text(yaml.safe_dump(values))
    SimulatedJob(folder, 2).finish("train", "--config", config, "--output", "run")
    return RunFolder(folder / "run"), config


@pytest.mark.slow
def test_a_run_that_lost_a_process_resumes_exactly(reference, tmp_path):
    folder = RunFolder(tmp_path / "run")
    killed = begin(tmp_path, ALONE, "train", "--config", reference[1], "--output", "run")
    kill_one(killed, folder)
    assert killed.wait(timeout=60) == 1
    assert len(folder.records()) < 3
    finish(begin(tmp_path, ALONE, "train", "--resume", "run"))
    assert_same_runs(folder, reference[0])


@pytest.mark.slow
def test_evaluation_gives_the_figures_of_one_process(reference, tmp_path, lba):
    shutil.copytree(reference[0].path, tmp_path / "run")
    small_batches = ("--set", "evaluation.batch_size=16")
    finish(begin(tmp_path, ALONE, "evaluate", "--checkpoint", "run", "--json", "two.json", *small_batches))
    lba("evaluate", "--checkpoint", "run", "--json", "one.json", *small_batches)
    one, two = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("one", "two"))
    assert one == two


@pytest.mark.long
def test_torchrun_restarts_a_run_that_lost_a_process(reference, tmp_path):
    folder = RunFolder(tmp_path / "run")
    process = begin(tmp_path, ("--max-restarts=2", *ALONE), "train", "--config", reference[1], "--output", "run")
    kill_one(process, folder)
    finish(process)
    assert "resuming" in output_of(process)
    assert_same_runs(folder, reference[0])


@pytest.mark.long
def test_two_machines(reference, tmp_path):
    """Start two torchruns that find each other. A process of the second is lost, and both start theirs again."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    where = ("--nnodes=2", "--nproc-per-node=1", "--max-restarts=3", "--rdzv-backend=c10d", "--rdzv-id=test")
    where += (f"--rdzv-endpoint=127.0.0.1:{port}", "--local-addr=127.0.0.1")
    words = ("train", "--config", reference[1], "--output", "run")
    machines = [begin(tmp_path, where, *words) for _ in range(2)]
    folder = RunFolder(tmp_path / "run")
    until = time.monotonic() + 100
    while not folder.metrics.exists():
        assert time.monotonic() < until, "".join(map(output_of, machines))
        time.sleep(0.02)
    os.kill(next(iter(children_of(machines[1].pid))), signal.SIGKILL)
    finish(*machines)
    assert_same_runs(folder, reference[0])
