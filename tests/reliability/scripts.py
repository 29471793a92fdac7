"""The scripts of this folder as tests run them; each has a file of tests, so that cores can share them."""

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
