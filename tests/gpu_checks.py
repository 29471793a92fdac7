"""Run everything that needs a CUDA device: ``python tests/gpu_checks.py``.

First come the tests marked ``gpu``, then the benchmarks that need a GPU, which print a table.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch

TESTS = Path(__file__).parent
# Only the file of the tests is collected: the GPU machine may lack packages that other tests import.
CHECKS = ("-o", "addopts=--import-mode=importlib", "-m", "gpu", "-q", "-n", "4", TESTS / "test_gpu.py")
BENCHMARKS = (TESTS / "benchmarks", "--gpu")


def main() -> int:
    if not torch.cuda.is_available():
        print("there is no CUDA device: nothing was checked")
        return 2
    statuses = [
        subprocess.run([sys.executable, "-m", "pytest", *map(str, words)], cwd=TESTS.parent, check=False).returncode
        for words in (CHECKS, BENCHMARKS)
    ]
    return max(statuses)


if __name__ == "__main__":
    sys.exit(main())
