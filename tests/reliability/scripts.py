"""Runs the scripts of this folder from tests. Each script has a test file of its own, so that they run in parallel."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

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
    """Return whether this machine lets us mount a tmpfs in a new namespace."""
    if not shutil.which("unshare"):
        return False
    probe = "d=$(mktemp -d) && mount -t tmpfs -o size=1m tmpfs $d && umount $d; s=$?; rmdir $d; exit $s"
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", probe], capture_output=True, timeout=20, check=False
    )
    return done.returncode == 0
