"""Every check and measurement that needs a CUDA device, in one call: ``python tests/gpu_checks.py``.

Runs the tests marked ``gpu``, then the benchmarks that need a GPU, which print their table.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch

TESTS = Path(__file__).parent
# In one process, and without the plug-ins that share the work; what other tests import may be missing here.
CHECKS = ("-o", "addopts=--import-mode=importlib", "-m", "gpu", "-q", "--continue-on-collection-errors", TESTS)
BENCHMARKS = (TESTS / "benchmarks", "--gpu")


def main() -> int:
    if not torch.cuda.is_available():
        print("no CUDA device here: nothing was checked")
        return 2
    statuses = [
        subprocess.run([sys.executable, "-m", "pytest", *map(str, words)], cwd=TESTS.parent, check=False).returncode
        for words in (CHECKS, BENCHMARKS)
    ]
    return max(statuses)


if __name__ == "__main__":
    sys.exit(main())
