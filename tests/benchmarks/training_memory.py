#!/usr/bin/env python3
"""Measure how much memory a training step on the CPU takes, plain and with the settings that save memory.

Usage: training_memory.py [--size HEIGHT WIDTH] [--backbone NAME]

Every setting is measured in a process of its own: the most memory during one step of the full method with 8 × 4 × 2 images, in
float32, beyond what the process had with the network loaded (Linux's VmHWM less VmRSS).
"""

import argparse
import subprocess
import sys
from pathlib import Path

import torch

from lba_cli.alignment import sample_pairs
from lba_cli.compute import arithmetic
from lba_cli.config import TrainSection
from lba_cli.data.loaders import TrainingBatch
from lba_cli.methods import Objective
from lba_cli.model.initial_weights import build_network
from lba_cli.training.step import TrainingStep

SETTINGS = {
    "plain": {},
    "train.accumulate=2": {"accumulate": 2},
    "train.accumulate=4": {"accumulate": 4},
    "train.checkpoint_activations=true": {"checkpoint_activations": True},
    "both, with 4 parts": {"accumulate": 4, "checkpoint_activations": True},
}


def measure(title: str, backbone: str, size: tuple[int, int]) -> float:
    """Take one step; return its peak memory in bytes."""
    recipe = TrainSection(precision="float32", **SETTINGS[title])
    network = build_network(backbone, 395, "none", 0, size)
    network.checkpoint_activations = recipe.checkpoint_activations
    network = network.to(memory_format=torch.channels_last).train()
    step = TrainingStep(network, Objective("full"), recipe, torch.device("cpu"))
    count = recipe.identities * recipe.instances
    images = [torch.randint(0, 256, (count, *size, 3), dtype=torch.uint8) for _ in range(2)]
    batch = TrainingBatch(*images, torch.arange(recipe.identities).repeat_interleave(recipe.instances))
    part = recipe.identities // recipe.accumulate, recipe.instances
    before = status("VmRSS")
    with arithmetic("float32", torch.device("cpu")):
        step(batch, lambda: (sample_pairs(*part), sample_pairs(*part)))
    return status("VmHWM") - before


def status(name: str) -> float:
    """Return a figure of this process's memory in bytes."""
    return 1024.0 * int(Path("/proc/self/status").read_text().split(f"{name}:")[1].split()[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, nargs=2, default=(288, 144))
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--only", choices=SETTINGS, help="measure this setting in this process")
    options = parser.parse_args()
    if options.only:
        print(measure(options.only, options.backbone, tuple(options.size)))
        return
    words = [sys.executable, __file__, "--backbone", options.backbone, "--size", *map(str, options.size)]
    print("| setting | memory |\n| --- | --- |")
    plain = None
    for title in SETTINGS:
        done = subprocess.run([*words, "--only", title], capture_output=True, text=True, check=True)
        memory = float(done.stdout)
        plain = plain or memory
        print(f"| {title} | {memory / plain:.2f} ({memory / 1e9:.2f} GB) |")


if __name__ == "__main__":
    main()
