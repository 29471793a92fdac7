"""Every check and measurement that needs a CUDA device, in one call: ``python tests/gpu_checks.py``.

Runs the tests marked ``gpu``, then times training steps of either method in every precision, with their peak memory.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import torch

from lba_cli.alignment import sample_pairs
from lba_cli.compute import arithmetic, mixed_precision
from lba_cli.model import TwoStreamNetwork
from lba_cli.training import Objective, parameter_groups

ROOT = Path(__file__).parent.parent


def seconds_a_step(method: str, precision: str, steps: int = 30) -> tuple[float, float]:
    """Median seconds of a step of 64 images of 288×144 (ResNet-50), and the peak memory in GB."""
    device = torch.device("cuda")
    torch.cuda.reset_peak_memory_stats()
    network = TwoStreamNetwork("resnet50", 395).to(device, memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(parameter_groups(network, 0.01), momentum=0.9, weight_decay=5e-4, nesterov=True)
    objective, labels = Objective(method), torch.arange(8, device=device).repeat_interleave(4)
    halves = [torch.randn(32, 3, 288, 144, device=device).to(memory_format=torch.channels_last) for _ in range(2)]
    times = []
    for _ in range(steps):
        torch.cuda.synchronize()
        started = time.perf_counter()
        pairs = tuple(sample_pairs(8, 4).to(device) for _ in range(2))
        with arithmetic(precision, device):
            with mixed_precision(precision, device):
                total = objective(network, *halves, labels, pairs)["total"]
            optimizer.zero_grad(set_to_none=True)
            total.backward()
            optimizer.step()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    return sorted(times)[steps // 2], torch.cuda.max_memory_allocated() / 1e9


def main() -> int:
    if not torch.cuda.is_available():
        print("no CUDA device here: nothing was checked")
        return 2
    alone = ["-o", "addopts=--import-mode=importlib"]  # in one process, and without the plug-ins that share the work
    command = [sys.executable, "-m", "pytest", *alone, "-m", "gpu", "-q", str(ROOT / "tests")]
    status = subprocess.run(command, cwd=ROOT, check=False).returncode
    print(f"\n{torch.cuda.get_device_name()}, torch {torch.__version__}")
    print("| method | precision | ms a step | images/s | peak GB |\n| --- | --- | --- | --- | --- |")
    for method in ("baseline", "full"):
        for precision in ("float32", "tf32", "bfloat16"):
            seconds, memory = seconds_a_step(method, precision)
            print(f"| {method} | {precision} | {1000 * seconds:.1f} | {64 / seconds:.0f} | {memory:.2f} |")
    return status


if __name__ == "__main__":
    sys.exit(main())
