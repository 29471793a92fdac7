"""Runs commands in processes forked from this one, which has the libraries loaded: they start fast and can be killed."""

from __future__ import annotations

import multiprocessing.util
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import torch
import yaml
from small_setup import HEIGHT, SMALL, WIDTH

import lba_cli.cli.evaluate
import lba_cli.data.prepare
import lba_cli.datasets.open
import lba_cli.evaluation.evaluate
import lba_cli.export
import lba_cli.search.embed_file
import lba_cli.search.query
import lba_cli.search.update
import lba_cli.training.loop
import lba_cli.visualize.correspondences
import lba_cli.visualize.ranking
import lba_cli.visualize.report
from lba_cli.cli.app import app
from lba_cli.datasets.synthesize import write_synthetic
from lba_cli.datasets.sysu import SYSU, read_sysu
from lba_cli.reporting import Silent

LOG = "log.txt"


def make_data(base: Path) -> None:
    """Write ``small.yaml``, the synthetic data set ``tiny`` and its ``store`` into ``base``."""
    torch.set_num_threads(1)
    (base / "small.yaml").write_text(yaml.safe_dump(SMALL))
    write_synthetic(SYSU, "tiny", base / "tiny", seed=0, workers=1, listener=Silent())
    lba_cli.data.prepare.prepare(read_sysu(base / "tiny"), base / "store", HEIGHT, WIDTH, listener=Silent(), workers=1)


def start(folder: Path, *words: object, log: Path | None = None, before: Callable[[], object] = lambda: None) -> int:
    """Start ``lba words…`` in ``folder``, as the leader of a session, after ``before``; return the process's number."""
    process = os.fork()
    if process:
        return process
    os.setsid()
    os.chdir(folder)
    descriptor = os.open(log or folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    status = 70
    try:
        before()
        app([str(word) for word in words], standalone_mode=True)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    finally:  # Python's exit handlers, without those of the parent
        threading._shutdown()
        multiprocessing.util._exit_function()
        os._exit(status)


def finish(folder: Path, *words: object) -> float:
    """Run a command to its end; return the seconds it took.

    Raises:
        AssertionError: it failed.
    """
    started = time.monotonic()
    status = exit_status(start(folder, *words))
    assert status == 0, (folder / LOG).read_text()
    return time.monotonic() - started


def exit_status(process: int) -> int:
    """Wait for ``process``; return its exit status, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def end(process: int) -> bool:
    """Send SIGKILL to ``process``; return whether it was still running."""
    os.kill(process, signal.SIGKILL)
    return exit_status(process) < 0


def left_in_session(leader: int) -> list[str]:
    """Return the command lines of the processes in the session of ``leader`` that still run."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                state, _, _, session = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
                if int(session) == leader and state != "Z":
                    found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
            except (OSError, ValueError):
                continue
    return found


def children_of(process: int) -> dict[int, str]:
    """Return the numbers and command lines of the children of ``process`` that still run."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
                if int(parent) == process and state != "Z":
                    found[int(entry.name)] = (
                        (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    )
            except (OSError, ValueError):
                continue
    return found
