"""The ablation table of ``docs/methods.md``, on synthetic people: train every row with several seeds, and keep all figures.

``python tests/ablations.py FOLDER`` draws the people, warms up one trunk on other people, trains what isn't in FOLDER yet, and
writes ``docs/ablations.json`` after every row. It may be stopped at any time; the same command continues. It takes hours on two
cores. ``python tests/ablations.py --table`` prints the table that belongs to the JSON file, and trains nothing.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from lba_cli.cli.diagnosis import cpu
from lba_cli.evaluation.differences import half_interval

ROOT = Path(__file__).parent.parent
RECIPES = ROOT / "tests" / "recipes"
KEPT = ROOT / "docs" / "ablations.json"
FIGURES = ("rank1", "mAP", "mINP")
RECIPE = (
    *("--config", RECIPES / "small-people.yaml", "--set", "data.height=96", "--set", "data.width=48"),
    *("--set", "train.epochs=4", "--set", "train.steps_per_epoch=15", "--set", "train.milestones=[3]"),
    *("--set", "train.evaluate_every=0"),
)
WARM_UP = (
    *("--config", RECIPES / "small-people-warmup.yaml", "--set", "data.height=96", "--set", "data.width=48"),
    *("--set", "train.epochs=16", "--set", "train.milestones=[12]"),
)
PAD = ("data.pad=3",)  # 10 pixels at the recipes' three times larger images
VIEWS = ("data.visible_views=2", "data.channel_exchange=1")
BLOCKS = ("model.non_local=true", "model.retrieval_feature=neck")
# The method and the settings of each row. The first row is the one that the others are compared with.
ROWS: Mapping[str, tuple[str, Sequence[str]]] = {
    "baseline": ("baseline", ()),
    "full": ("full", ()),
    "full without identity consistency": ("full", ("loss.identity_consistency=0",)),
    "full without the dense triplet": ("full", ("loss.dense_triplet=0",)),
    "full without masks": ("full", ("alignment.masks=false",)),
    "full without co-attention": ("full", ("alignment.weighting=uniform",)),
    "full, weighted per position": ("full", ("alignment.weighting=per_position",)),
    "agw": ("agw", PAD),
    "caj": ("caj", PAD),
    "caj with alignment": ("caj", (*PAD, "loss.identity_consistency=1", "loss.dense_triplet=0.5")),
    "strong": ("full", (*PAD, "data.erase=0.5", *VIEWS, *BLOCKS)),
    "full with random erasing": ("full", (*PAD, "data.erase=0.5")),
    "full with two views": ("full", VIEWS),
    "full with non-local blocks": ("full", BLOCKS),
}


def lba(*words: object) -> None:
    subprocess.run([sys.executable, "-m", "lba_cli", *map(str, words)], check=True)


def settings(assignments: Sequence[str]) -> list[str]:
    return [word for assignment in assignments for word in ("--set", assignment)]


def prepare(folder: Path) -> tuple[Path, Path]:
    """Draw the people, and warm up the trunk on others; return the people's folder and the warmed-up checkpoint."""
    people, others, trunk = folder / "people", folder / "others", folder / "trunk"
    for path, seed in ((people, 0), (others, 1)):
        if not (path / "synthetic.json").exists():
            lba("prepare", "synthetic", "--preset", "small", "--seed", seed, "--output", path)
    last = trunk / "checkpoints" / "last.pt"
    if not (folder / "trunk.json").exists():
        again = ("--resume", trunk) if last.exists() else ("--output", trunk)
        lba("train", *WARM_UP, "--data", others, *again)
        lba("evaluate", trunk, "--data", people, "--json", folder / "trunk.json")
    return people, last


def train(folder: Path, name: str, seeds: Sequence[int], people: Path, trunk: Path) -> dict[str, Any]:
    """Train a row, or what is missing of it; return its figures for ``docs/ablations.json``."""
    method, assignments = ROWS[name]
    run, scored = folder / name.replace(",", "").replace(" ", "-"), folder / f"{name}.json"
    again = ("--resume", run) if (run / "config.yaml").exists() else ("--output", run)
    words = ["--method", method, *settings(assignments)]
    if not scored.exists() or json.loads(scored.read_text())["results"][0]["seeds"] != list(seeds):
        lba("train", *RECIPE, *words, "--set", f"model.pretrained={trunk}", "--data", people, "--seeds", *seeds, *again)
        lba("evaluate", run, "--json", scored, "--force")
    (result,) = json.loads(scored.read_text())["results"]
    figures = [{name: trial[name] for name in FIGURES} for trial in result["trials"]]
    return {"options": words, "seeds": result["seeds"], "figures": figures}


def run(folder: Path, seeds: Sequence[int]) -> None:
    """Train all rows, and write the JSON file after each."""
    people, trunk = prepare(folder)
    (untouched,) = json.loads((folder / "trunk.json").read_text())["results"]
    kept: dict[str, Any] = {
        "command": "python tests/ablations.py FOLDER",
        "recipe": [str(word).removeprefix(f"{ROOT}/") for word in RECIPE],
        "warm-up": [str(word).removeprefix(f"{ROOT}/") for word in WARM_UP],
        "trunk": {name: untouched["mean"][name] for name in FIGURES},
        "processor": cpu()["model"],
        "torch": torch.__version__,
        "rows": {},
    }
    for name in ROWS:
        kept["rows"][name] = train(folder, name, seeds, people, trunk)
        KEPT.write_text(json.dumps(kept, indent=1) + "\n")
        print("\n".join(table(kept)), flush=True)


def table(kept: Mapping[str, Any]) -> list[str]:
    """Return the lines of the Markdown table: mean ± standard deviation over the seeds, and the difference from the first row."""
    first, *_ = kept["rows"].values()
    lines = [
        "| method | seeds | rank-1 | mAP | mINP | mAP against baseline | 95 % interval | seeds that agree |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, row in kept["rows"].items():
        columns = {figure: [100 * seed[figure] for seed in row["figures"]] for figure in FIGURES}
        cells = [f"{statistics.fmean(values):.1f} ± {statistics.stdev(values):.1f}" for values in columns.values()]
        compared = ["", "", ""] if row is first else paired(first, row)
        lines.append("| " + " | ".join([name, str(len(row["seeds"])), *cells, *compared]) + " |")
    return lines


def against_full(kept: Mapping[str, Any]) -> list[str]:
    """Return the lines of the Markdown table that compares every change of ``full`` with ``full`` itself."""
    lines = [
        "| full … | mAP | 95 % interval | seeds that agree | mINP | 95 % interval | seeds that agree |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    full = kept["rows"]["full"]
    for name, row in kept["rows"].items():
        if name.startswith(("full ", "full,")):
            cells = [*paired(full, row, "mAP"), *paired(full, row, "mINP")]
            lines.append("| " + " | ".join([name.removeprefix("full").removeprefix(",").strip(), *cells]) + " |")
    return lines


def paired(first: Mapping[str, Any], row: Mapping[str, Any], figure: str = "mAP") -> list[str]:
    """Return the mean difference in a figure over the seeds that both rows have, its interval, and how many seeds agree."""
    values = {seed: each[figure] for seed, each in zip(first["seeds"], first["figures"], strict=True)}
    pairs = zip(row["seeds"], row["figures"], strict=True)
    differences = [100 * (each[figure] - values[seed]) for seed, each in pairs if seed in values]
    mean, count = statistics.fmean(differences), len(differences)
    half = half_interval(differences)
    agree = sum(difference * mean > 0 for difference in differences)
    return [f"{mean:+.1f}", f"{mean - half:+.1f} … {mean + half:+.1f}", f"{agree} of {count}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", help="where the people and the runs are kept")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--table", action="store_true", help="only print the table of docs/ablations.json")
    asked = parser.parse_args()
    if asked.table:
        kept = json.loads(KEPT.read_text())
        print("\n".join([*table(kept), "", *against_full(kept)]))
    elif asked.folder:
        run(asked.folder, asked.seeds)
    else:
        parser.error("name a folder, or ask for the --table")


if __name__ == "__main__":
    main()
