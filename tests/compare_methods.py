"""Compare ``full`` with ``baseline``, and automatic precision with float32, on the synthetic data set ``small``.

``python tests/compare_methods.py FOLDER`` makes the data, trains every run that isn't in FOLDER yet (three seeds each, from the
same warmed-up weights), and prints a table made from their ``metrics.jsonl``. It takes about half an hour on two cores, or
minutes with ``--size 64 32``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

RECIPES = Path(__file__).parent / "recipes"
SLOW = ("--set", "train.precision=float32")  # the recipe has auto: bfloat16 on processors with matrix units
METHODS = {
    "baseline": ("--method", "baseline"),
    "full": ("--method", "full"),
    "full-float32": ("--method", "full", *SLOW),
}
FIGURES = ("rank1", "rank10", "mAP", "mINP")


def lba(*words: object) -> None:
    subprocess.run([sys.executable, "-m", "lba_cli", *map(str, words)], check=True)


def figures(run: Path) -> dict[str, float]:
    """Read the figures of the last epoch (not of the best one)."""
    record = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    return {name: 100 * record["evaluation"][name] for name in FIGURES}


def train_all(folder: Path, seeds: list[int], size: list[int]) -> dict[str, list[dict[str, float]]]:
    people = folder / "people"
    height, width = size
    sized = ("--set", f"data.height={height}", "--set", f"data.width={width}")
    if not people.exists():
        lba("prepare", "synthetic", "--preset", "small", "--output", people)
        lba("prepare", "sysu", "--config", RECIPES / "small-people.yaml", "--root", people, *sized)
    found: dict[str, list[dict[str, float]]] = {method: [] for method in METHODS}
    for seed in seeds:
        words = ("--data", people, "--set", f"train.seed={seed}", *sized)
        warm = folder / f"warm-up-{seed}"
        if not warm.exists():
            lba("train", "--config", RECIPES / "small-people-warmup.yaml", "--output", warm, *words)
        start = f"model.pretrained={warm / 'checkpoints' / 'last.pt'}"
        for method, options in METHODS.items():
            run = folder / f"{method}-{seed}"
            config = ("--config", RECIPES / "small-people.yaml", *options)
            if not run.exists():
                lba("train", *config, "--output", run, "--set", start, *words)
            found[method].append(figures(run))
            print(f"seed {seed}, {method}: {found[method][-1]}", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--size", type=int, nargs=2, default=[112, 56], metavar=("HEIGHT", "WIDTH"))
    asked = parser.parse_args()
    found = train_all(asked.folder, asked.seeds, asked.size)
    print("| method | " + " | ".join(FIGURES) + " |\n|" + " --- |" * (len(FIGURES) + 1))
    for method, seeds in found.items():
        cells = []
        for name in FIGURES:
            values = [seed[name] for seed in seeds]
            each = ", ".join(f"{value:.1f}" for value in values)
            cells.append(f"{statistics.fmean(values):.1f} ± {statistics.stdev(values):.1f} ({each})")
        print(f"| {method} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
