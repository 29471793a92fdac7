"""The scripts of this folder, on a few cases; ``-m slow`` runs them whole."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def run(script, *words, seconds=280):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parent.parent)}
    done = subprocess.run(
        [sys.executable, HERE / script, *map(str, words)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def can_mount():
    """Whether a tmpfs can be mounted in a namespace of one's own here."""
    if not shutil.which("unshare"):
        return False
    probe = "d=$(mktemp -d) && mount -t tmpfs -o size=1m tmpfs $d && umount $d; s=$?; rmdir $d; exit $s"
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", probe], capture_output=True, timeout=20, check=False
    )
    return done.returncode == 0


needs_a_small_disk = pytest.mark.skipif(not can_mount(), reason="no tmpfs can be mounted here")


def test_killed_commands_leave_nothing_half_made():
    counts = {"train": 2, "prepare": 2, "evaluate": 1, "export": 1, "report": 1, "embed": 2, "search": 1}
    few = [word for name, count in counts.items() for word in (f"--{name}", count)]
    told = run("killed.py", *few)
    assert "train: 2 of 2 runs end bit-identical" in told
    assert "prepare: 2 of 2" in told
    assert "embed: 2 of 2 files are as if never killed" in told


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_twenty_killed_runs_end_as_if_never_killed():
    told = run("killed.py", seconds=3600)
    assert "train: 20 of 20 runs end bit-identical" in told
    assert "prepare: 10 of 10" in told
    assert "embed: 20 of 20" in told
    assert "search: 10 of 10" in told


def test_stopped_commands_exit_as_they_should():
    assert run("stopped.py").count(" ok, ") == 20


@needs_a_small_disk
@pytest.mark.parametrize("only", ["prepare --npy", "train, resumed", "embed npz"])
def test_a_full_disk_is_told_in_one_line(only):
    assert ": ok" in run("full_disk.py", "--only", only)


@needs_a_small_disk
@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_full_disk_under_every_command():
    assert run("full_disk.py", seconds=3600).count(": ok") >= 80
