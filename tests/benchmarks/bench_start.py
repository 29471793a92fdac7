"""The time until ``lba --help`` answers."""

from __future__ import annotations

import subprocess
import sys

from timing import side_by_side


def call(*arguments):
    return lambda: subprocess.run([sys.executable, *arguments], check=True, capture_output=True)


def test_help():
    side_by_side(
        "`lba --help` against `import torch`",
        call("-m", "lba_cli", "--help"),
        call("-c", "import torch"),
        rounds=5,
        note="the target is 10×",
    )
