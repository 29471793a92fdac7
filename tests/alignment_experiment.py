"""Does alignment learn better correspondences, and does that find people? The experiment of ``docs/methods.md``, on synthetic people.

``python tests/alignment_experiment.py FOLDER`` trains ``baseline`` and ``full`` with the same seeds, from the same warmed-up trunk,
under each of its conditions, and writes ``docs/alignment_experiment.json`` whenever a condition is complete. It may be stopped at any
time; the same command continues. ``--jobs 12`` trains twelve runs at a time: on one H200 and 14 cores, everything took seven minutes.
On two cores alone, ``--steps 25 --jobs 2`` should take about a day. ``--conditions`` chooses some conditions, and ``--table`` only prints the tables.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from ablations import RECIPES, ROOT, settings
from alignment_conditions import CONDITIONS, Condition, shares_baseline
from alignment_table import METHODS, RETRIEVAL, chance, curves, table

from lba_cli.cli.diagnosis import cpu

WARM_UP_SIZE = (96, 48)
KEPT = ROOT / "docs" / "alignment_experiment.json"
RECIPE, WARM_UP_RECIPE = "small-people.yaml", "small-people-warmup.yaml"


@dataclass(frozen=True)
class Workshop:
    """Where the people, trunks and runs are kept, and how commands run.

    Attributes:
        folder: the folder of everything that is made.
        steps: the number of steps of an epoch.
        jobs: how many commands run at a time. If there are several, each has one thread.
    """

    folder: Path
    steps: int = 60
    jobs: int = 1

    def lba(self, log: str, *words: object) -> None:
        """Run a command, and append what it says to a log file."""
        environment = {**os.environ, **({"OMP_NUM_THREADS": "1"} if self.jobs > 1 else {})}
        command = [sys.executable, "-m", "lba_cli", *map(str, words)]
        with (self.runs / f"{log}.log").open("a") as written:
            subprocess.run(command, check=True, env=environment, stdout=written, stderr=subprocess.STDOUT)

    def train(self, log: str, run: Path, *words: object) -> None:
        """Begin a run, or continue it."""
        again = ("--resume", run) if (run / "config.yaml").exists() else ("--output", run)
        workers = settings(["data.workers=0"]) if self.jobs > 1 else []
        self.lba(log, "train", *words, *workers, *again)

    def people(self, preset: str, name: str) -> Path:
        return self.folder / f"{preset}-{name}"

    def trunk(self, condition: Condition) -> Path:
        return self.runs / f"{condition.preset}-trunk-{condition.warm_up}"

    @property
    def runs(self) -> Path:
        """The folder of the runs of this length."""
        return self.folder / f"{self.steps}-steps"

    def schedule(self, epochs: int) -> list[str]:
        """Return the settings of the epochs; the learning rate falls to a tenth after three quarters of them."""
        milestone = max(1, 3 * epochs // 4)
        numbers = (f"train.epochs={epochs}", f"train.steps_per_epoch={self.steps}", f"train.milestones=[{milestone}]")
        return settings((*numbers, f"train.evaluate_every={max(1, epochs // 4)}"))


def sized(size: tuple[int, int]) -> list[str]:
    return settings([f"data.height={size[0]}", f"data.width={size[1]}"])


def draw_people(shop: Workshop, preset: str) -> None:
    """Draw the people of a preset, with their truth, and others for the warm-up of the trunk."""
    for name, seed, more in (("people", 0, ["--truth"]), ("others", 1, [])):
        path = shop.people(preset, name)
        if not (path / "synthetic.json").exists():
            words = ("--preset", preset, "--seed", seed, "--output", path, *more)
            shop.lba(f"{preset}-{name}", "prepare", "synthetic", *words)


def warm_up(shop: Workshop, condition: Condition) -> None:
    """Let the condition's trunk learn to distinguish other people of the same preset."""
    trunk = shop.trunk(condition)
    done = trunk.with_suffix(".done")
    if not done.exists():
        config = ("--config", RECIPES / WARM_UP_RECIPE)
        others = ("--data", shop.people(condition.preset, "others"))
        shop.train(trunk.name, trunk, *config, *sized(WARM_UP_SIZE), *shop.schedule(condition.warm_up), *others)
        done.touch()


def train(shop: Workshop, name: str, method: str) -> dict[str, Any]:
    """Train a method under a condition, or what is missing of it; return its figures for each seed."""
    condition, title = CONDITIONS[name], f"{name} {method}".replace(",", "").replace(" ", "-")
    people = shop.people(condition.preset, "people")
    trunk = shop.trunk(condition) / "checkpoints" / "last.pt"
    run, scored = shop.runs / title, shop.runs / f"{title}.json"
    changed = settings(condition.full if method == "full" else ())
    recipe = ["--method", method, *sized(condition.size), *changed, *shop.schedule(condition.epochs)]
    start = ("--config", RECIPES / RECIPE, "--set", f"model.pretrained={trunk}", "--data", people)
    shop.train(title, run, *start, *recipe, "--seeds", *condition.seeds)
    shop.lba(title, "evaluate", run, "--data", people, "--correspondences", "--json", scored, "--force")
    return {
        "options": recipe,
        **read_figures(scored),
        "curves": {str(seed): curve(run, seed) for seed in condition.seeds},
    }


def read_figures(scored: Path) -> dict[str, Any]:
    """Read what is kept of the JSON file of ``lba evaluate --correspondences``."""
    content = json.loads(scored.read_text())
    (result,), (measured, untrained) = content["results"], content["correspondences"]
    return {
        "seeds": result["seeds"],
        "retrieval": [{figure: trial[figure] for figure in RETRIEVAL} for trial in result["trials"]],
        "correspondences": measured["runs"],
        "untrained": untrained["runs"][0],
    }


def curve(run: Path, seed: int) -> list[dict[str, float]]:
    """Return the loss of every epoch, and the test people's mAP after those with an evaluation."""
    records = map(json.loads, (run / f"seed-{seed}" / "metrics.jsonl").read_text().splitlines())
    return [
        {"epoch": record["epoch"] + 1, "loss": record["losses"]["total"], **_mean_precision(record)}
        for record in records
    ]


def _mean_precision(record: Mapping[str, Any]) -> dict[str, float]:
    return {"mAP": record["evaluation"]["mAP"]} if record.get("evaluation") else {}


def share(baseline: Mapping[str, Any], owner: str, seeds: Sequence[int]) -> dict[str, Any]:
    """Return a baseline's figures of some of its seeds."""
    chosen = [baseline["seeds"].index(seed) for seed in seeds]
    columns = {column: [baseline[column][at] for at in chosen] for column in ("seeds", "retrieval", "correspondences")}
    return {**baseline, **columns, "curves": {str(seed): baseline["curves"][str(seed)] for seed in seeds}, "of": owner}


def run(shop: Workshop, names: Sequence[str]) -> None:
    """Run the conditions, and write the JSON file whenever one is complete.

    Raises:
        SystemExit: the kept figures are of runs of another length.
    """
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {"conditions": {}}
    if kept.get("steps_per_epoch", shop.steps) != shop.steps:
        raise SystemExit(f"{KEPT} has runs of {kept['steps_per_epoch']} steps an epoch: move it away, or give --steps")
    kept |= {
        "command": "python tests/alignment_experiment.py FOLDER",
        "recipe": str((RECIPES / RECIPE).relative_to(ROOT)),
        "warm_up_recipe": str((RECIPES / WARM_UP_RECIPE).relative_to(ROOT)),
        "steps_per_epoch": shop.steps,
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else cpu()["model"],
        "torch": torch.__version__,
    }
    conditions = [CONDITIONS[name] for name in names]
    for preset in dict.fromkeys(condition.preset for condition in conditions):
        draw_people(shop, preset)  # uses every core
    with ThreadPoolExecutor(shop.jobs) as pool:
        trunks = {shop.trunk(condition): condition for condition in conditions}
        list(pool.map(partial(warm_up, shop), trunks.values()))
        keep_as_they_come(kept, {job: pool.submit(train, shop, *job) for job in jobs(names)})


def jobs(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return the runs to train, as condition and method; the baselines that others share are among them."""
    owners = [shares_baseline(name) for name in names]
    needed = [
        job for name, owner in zip(names, owners, strict=True) for job in ((owner or name, "baseline"), (name, "full"))
    ]
    return list(dict.fromkeys(needed))


def keep_as_they_come(kept: dict[str, Any], running: Mapping[tuple[str, str], Future[dict[str, Any]]]) -> None:
    """Keep the figures of every condition as soon as both of its methods have been trained."""
    found: dict[str, dict[str, Any]] = {name: {} for name in CONDITIONS}
    names = {future: job for job, future in running.items()}
    for done in as_completed(names):
        name, method = names[done]
        if problem := done.exception():
            print(f"{name}, {method}: {problem}", file=sys.stderr, flush=True)
            continue
        found[name][method] = done.result()
        keep(kept, found)


def keep(kept: dict[str, Any], found: Mapping[str, dict[str, Any]]) -> None:
    """Write the conditions whose methods have both been trained, in the order of the table."""
    for name, methods in found.items():
        owner = shares_baseline(name)
        if owner and "baseline" in found[owner]:
            methods["baseline"] = share(found[owner]["baseline"], owner, CONDITIONS[name].seeds)
        if set(methods) == set(METHODS):
            kept["conditions"][name] = {**CONDITIONS[name].described(), **methods}
    kept["conditions"] = {name: kept["conditions"][name] for name in CONDITIONS if name in kept["conditions"]}
    part = KEPT.with_suffix(".part")
    part.write_text(json.dumps(kept, indent=1) + "\n")
    part.replace(KEPT)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", help="where the people and the runs are kept")
    parser.add_argument("--conditions", nargs="+", choices=list(CONDITIONS), default=list(CONDITIONS))
    parser.add_argument("--steps", type=int, default=Workshop.steps, help="the number of steps of an epoch")
    parser.add_argument("--jobs", type=int, default=1, help="how many commands run at a time")
    parser.add_argument("--table", action="store_true", help="only print the tables of docs/alignment_experiment.json")
    asked = parser.parse_args()
    if asked.table:
        kept = json.loads(KEPT.read_text())
        print("\n\n".join("\n".join(lines(kept)) for lines in (table, chance, curves)))
    elif asked.folder:
        shop = Workshop(asked.folder, asked.steps, asked.jobs)
        shop.runs.mkdir(parents=True, exist_ok=True)
        run(shop, asked.conditions)
    else:
        parser.error("name a folder, or ask for the --table")


if __name__ == "__main__":
    main()
