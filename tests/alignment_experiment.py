"""Does alignment learn better correspondences, and does that find people? The experiment of ``docs/methods.md``, on synthetic people.

``python tests/alignment_experiment.py FOLDER`` trains ``baseline`` and ``full`` with the same seeds, from the same warmed-up trunk, under
each condition, and writes ``docs/alignment_experiment.json`` after every condition. It may be stopped at any time; the same command
continues. It takes many hours on two cores. ``--conditions`` chooses some conditions, and ``--table`` only prints the tables.

Every condition but the first changes one thing about the first. The conditions were chosen before any of them was run.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from ablations import ROOT, lba, settings

from lba_cli.cli.diagnosis import cpu
from lba_cli.evaluation.differences import half_interval

KEPT = ROOT / "docs" / "alignment_experiment.json"
METHODS = ("baseline", "full")
STAGE = "layer3"
# The figures of the table: their names in the JSON of ``lba evaluate --correspondences``, and their headings.
RETRIEVAL = {"mAP": "mAP", "rank1": "rank-1"}
MATCHES = {"pck_0.10": "PCK 10%", "median_error": "median error", "same_place": "same place"}
SEPARATION = "same_versus_other"


@dataclass(frozen=True)
class Condition:
    """What a comparison is made under.

    Attributes:
        question: what the comparison tells, written before it was run.
        preset: the synthetic people.
        size: height and width of the images.
        steps: the number of epochs of 20 steps.
        warm_up: the number of epochs of 30 steps in which the trunk learns other people, at 96 × 48 pixels.
        full: settings of the method ``full`` only.
        seeds: the seeds of both methods.
    """

    question: str
    preset: str = "small"
    size: tuple[int, int] = (144, 72)
    steps: int = 10
    warm_up: int = 16
    full: Sequence[str] = ()
    seeds: Sequence[int] = (0, 1, 2, 3, 4)


FEWER = (0, 1, 2)
WARM_UP_SIZE = (96, 48)
CONDITIONS: Mapping[str, Condition] = {
    "usual": Condition("Does full find more people than baseline, and match positions better?"),
    "loose": Condition(
        "Does it, if people stand anywhere in their images, the paper's case for alignment?", preset="loose"
    ),
    "longer": Condition("Does it, if both train twice as long?", steps=20, seeds=FEWER),
    "young trunk": Condition("Does it, if the trunk is less mature?", warm_up=4, seeds=FEWER),
    "per position": Condition(
        "Does it, with the paper's equation of the dense triplet?",
        full=("alignment.weighting=per_position",),
        seeds=FEWER,
    ),
    "larger": Condition("Does it, with more positions?", size=(192, 96), seeds=FEWER),
    "heavy triplet": Condition(
        "Does it, with twice the weight of the dense triplet?", full=("loss.dense_triplet=1",), seeds=FEWER
    ),
    "light consistency": Condition(
        "Does it, with a third of the weight of the identity consistency?",
        full=("loss.identity_consistency=0.33",),
        seeds=FEWER,
    ),
}


def sized(size: tuple[int, int]) -> list[str]:
    return settings([f"data.height={size[0]}", f"data.width={size[1]}"])


def prepare(folder: Path, condition: Condition) -> tuple[Path, Path]:
    """Draw the people, and warm up the trunk on others of the same preset; return the people's folder and the trunk."""
    people, others = (folder / f"{condition.preset}-{name}" for name in ("people", "others"))
    for path, seed, more in ((people, 0, ["--truth"]), (others, 1, [])):
        if not (path / "synthetic.json").exists():
            lba("prepare", "synthetic", "--preset", condition.preset, "--seed", seed, "--output", path, *more)
    name = f"{condition.preset}-trunk-{condition.warm_up}"
    trunk, done = folder / name, folder / f"{name}.done"
    if not done.exists():
        again = ("--resume", trunk) if (trunk / "config.yaml").exists() else ("--output", trunk)
        milestone = max(1, 3 * condition.warm_up // 4)
        schedule = settings([f"train.epochs={condition.warm_up}", f"train.milestones=[{milestone}]"])
        config = ("--config", ROOT / "configs" / "demo-warmup.yaml")
        lba("train", *config, *sized(WARM_UP_SIZE), *schedule, "--data", others, *again)
        done.touch()
    return people, trunk / "checkpoints" / "last.pt"


def train(folder: Path, name: str, method: str) -> dict[str, Any]:
    """Train a method under a condition, or what is missing of it; return its figures for each seed."""
    condition = CONDITIONS[name]
    people, trunk = prepare(folder, condition)
    run, scored = folder / f"{name} {method}".replace(" ", "-"), folder / f"{name} {method}.json"
    again = ("--resume", run) if (run / "config.yaml").exists() else ("--output", run)
    words = ["--method", method, *sized(condition.size), *settings(condition.full if method == "full" else ())]
    schedule = [
        f"train.epochs={condition.steps}",
        "train.steps_per_epoch=20",
        f"train.milestones=[{condition.steps * 3 // 4}]",
    ]
    recipe = [*words, *settings([*schedule, "train.evaluate_every=2"])]
    start = ("--config", ROOT / "configs" / "demo.yaml", "--set", f"model.pretrained={trunk}", "--data", people)
    lba("train", *start, *recipe, "--seeds", *condition.seeds, *again)
    lba("evaluate", run, "--data", people, "--correspondences", "--json", scored, "--force")
    content = json.loads(scored.read_text())
    (result,), (measured, untrained) = content["results"], content["correspondences"]
    curves = {
        str(seed): [
            {"epoch": record["epoch"], "mAP": record["evaluation"]["mAP"]}
            for record in map(json.loads, (run / f"seed-{seed}" / "metrics.jsonl").read_text().splitlines())
            if record.get("evaluation")
        ]
        for seed in condition.seeds
    }
    return {
        "options": recipe,
        "seeds": result["seeds"],
        "retrieval": [{figure: trial[figure] for figure in RETRIEVAL} for trial in result["trials"]],
        "correspondences": measured["runs"],
        "untrained": untrained["runs"][0],
        "curves": curves,
    }


def shared_baseline(kept: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """Return the baseline's figures under the first condition, if the condition changes only ``full``; otherwise None."""
    first, condition = next(iter(CONDITIONS)), CONDITIONS[name]
    alike = replace(condition, question=CONDITIONS[first].question, full=(), seeds=CONDITIONS[first].seeds)
    if name == first or alike != CONDITIONS[first] or first not in kept["conditions"]:
        return None
    found = kept["conditions"][first]["baseline"]
    chosen = [found["seeds"].index(seed) for seed in condition.seeds]
    columns = {column: [found[column][at] for at in chosen] for column in ("seeds", "retrieval", "correspondences")}
    curves = {str(seed): found["curves"][str(seed)] for seed in condition.seeds}
    return {**found, **columns, "curves": curves, "of": first}


def run(folder: Path, names: Sequence[str]) -> None:
    """Run the conditions, and write the JSON file after each."""
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {"conditions": {}}
    kept |= {
        "command": "python tests/alignment_experiment.py FOLDER",
        "processor": cpu()["model"],
        "torch": torch.__version__,
    }
    for name in names:
        condition = CONDITIONS[name]
        known = shared_baseline(kept, name)
        found = {"baseline": known or train(folder, name, "baseline"), "full": train(folder, name, "full")}
        kept["conditions"][name] = {"question": condition.question, **found}
        KEPT.write_text(json.dumps(kept, indent=1) + "\n")
        print("\n".join(table(kept)), flush=True)


def figures(found: Mapping[str, Any]) -> dict[str, list[float]]:
    """Return each figure of the table as a list with a value for each seed, in percent."""
    stages = [run[STAGE] for run in found["correspondences"]]
    values = {name: [trial[name] for trial in found["retrieval"]] for name in RETRIEVAL}
    values |= {name: [stage["strongest"][name] for stage in stages] for name in MATCHES}
    values[SEPARATION] = [stage[SEPARATION] for stage in stages]
    return {name: [100 * value for value in column] for name, column in values.items()}


def table(kept: Mapping[str, Any]) -> list[str]:
    """Return the lines of the Markdown table: both methods as mean ± standard deviation, and the paired difference with its interval."""
    headings = [*RETRIEVAL.values(), *MATCHES.values(), "same or other"]
    lines = [
        "| condition | | seeds | " + " | ".join(headings) + " |",
        "|" + " --- |" * (3 + len(headings)),
    ]
    for name, condition in kept["conditions"].items():
        columns = {method: figures(condition[method]) for method in METHODS}
        seeds = str(len(condition[METHODS[0]]["seeds"]))
        for method in METHODS:
            cells = [
                f"{statistics.fmean(column):.1f} ± {statistics.stdev(column):.1f}"
                for column in columns[method].values()
            ]
            lines.append("| " + " | ".join([name, method, seeds, *cells]) + " |")
        cells = []
        for one, other in zip(*(columns[method].values() for method in METHODS), strict=True):
            differences = [b - a for a, b in zip(one, other, strict=True)]
            mean, half = statistics.fmean(differences), half_interval(differences)
            cells.append(f"{mean:+.1f} ({mean - half:+.1f} … {mean + half:+.1f})")
        lines.append("| " + " | ".join([name, "difference", seeds, *cells]) + " |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", help="where the people and the runs are kept")
    parser.add_argument("--conditions", nargs="+", choices=list(CONDITIONS), default=list(CONDITIONS))
    parser.add_argument("--table", action="store_true", help="only print the table of docs/alignment_experiment.json")
    asked = parser.parse_args()
    if asked.table:
        print("\n".join(table(json.loads(KEPT.read_text()))))
    elif asked.folder:
        run(asked.folder, asked.conditions)
    else:
        parser.error("name a folder, or ask for the --table")


if __name__ == "__main__":
    main()
