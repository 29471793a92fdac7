"""Embedding in several processes: the same file and the same index as with one, also after a kill and with another number."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from simulated_torchrun import SimulatedJob

from lba_cli.errors import LbaError
from lba_cli.processes import World
from lba_cli.search.embed_paths import EmbeddedBatch
from lba_cli.search.partial_embedding import PartialEmbedding

BATCH = ("--set", "evaluation.batch_size=2")
WORK = "simulated_torchrun_work:embed_slowly"


def commands(network_file, tmp_path, folder):
    """Return the words of ``lba embed`` and of ``lba search build`` for the fixture's images, with outputs in ``folder``."""
    common = (tmp_path / "photos", "--modality", "visible", "--checkpoint", network_file, *BATCH)
    return (
        ("embed", *common, "--output", folder / "out.npz"),
        ("search", "build", *common, "--index", folder / "index"),
    )


def outputs(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def run(folder, size, commands):
    """Run each command in ``size`` processes."""
    for words in commands:
        SimulatedJob(folder, size).finish(*words)


@pytest.fixture
def alone(network_file, images, tmp_path):
    """What one process writes."""
    folder = tmp_path / "alone"
    folder.mkdir()
    run(tmp_path, 1, commands(network_file, tmp_path, folder))
    return outputs(folder)


@pytest.mark.slow
def test_several_processes_write_what_one_writes(network_file, alone, tmp_path):
    folder = tmp_path / "together"
    folder.mkdir()
    run(tmp_path, 3, commands(network_file, tmp_path, folder))
    assert outputs(folder) == alone


@pytest.mark.slow
@pytest.mark.parametrize("then", [1, 2, 3])
def test_a_killed_job_continues_with_any_number_of_processes(network_file, alone, tmp_path, then):
    folder = tmp_path / "together"
    folder.mkdir()
    for words in commands(network_file, tmp_path, folder):
        job = SimulatedJob(tmp_path, 2).begin(*words, work=WORK)
        until = time.monotonic() + 60
        while not any(folder.glob(".*/done-2.jsonl")):
            assert time.monotonic() < until, "".join(job.logs())
            time.sleep(0.02)
        for process in job.processes:  # as torchrun does when it has lost one
            os.kill(process, signal.SIGKILL)
        assert job.statuses() == [-signal.SIGKILL] * 2
    assert not list(folder.glob("[!.]*"))
    run(tmp_path, then, commands(network_file, tmp_path, folder))
    assert outputs(folder) == alone


@pytest.mark.slow
def test_an_unreadable_image_of_any_process_is_reported_once(network_file, images, tmp_path):
    for name in (images[1], images[-1]):
        Path(name).write_bytes(b"")
    embed, _ = commands(network_file, tmp_path, tmp_path)
    job = SimulatedJob(tmp_path, 2).begin(*embed)
    assert job.statuses() == [2, 2]
    said = "".join(job.logs())
    assert "2 of 23 images can't be decoded" in said
    assert said.count("error:") == 1


def test_shares_are_equal_parts_of_what_is_missing(tmp_path):
    partial = PartialEmbedding(tmp_path / "out.npz", 1, [str(number) for number in range(100)])
    beginning = partial.begin("work")
    assert beginning.missing == [(0, 100)]
    partial.share(beginning, World(0, 1))
    for begin, stop in ((10, 20), (50, 51)):
        partial.add(EmbeddedBatch(begin, stop, list(range(begin, stop)), np.ones((stop - begin, 1), np.float32), []))
    again = PartialEmbedding(tmp_path / "out.npz", 1, [str(number) for number in range(100)])
    beginning = again.begin("work")
    assert beginning.missing == [(0, 10), (20, 50), (51, 100)]
    shares = [again.share(beginning, World(rank, 3)) for rank in range(3)]
    assert shares == [[(0, 10), (20, 39)], [(39, 50), (51, 70)], [(70, 100)]]
    assert again.done == 11


def test_vectors_that_another_machine_did_not_share_are_missed(tmp_path):
    partial = PartialEmbedding(tmp_path / "out.npz", 1, ["a", "b"])
    partial.share(partial.begin("work"), World(0, 2))
    partial.add(EmbeddedBatch(0, 1, [0], np.ones((1, 1), np.float32), []))
    with pytest.raises(LbaError, match="1 images are missing: all processes need this folder"):
        partial.collect()
