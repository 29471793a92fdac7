"""Does alignment learn better correspondences, and does that find people? The experiment of ``docs/methods.md``, on synthetic people.

``python tests/alignment_experiment.py FOLDER`` trains ``baseline`` and ``full`` with the same seeds, from the same warmed-up trunk,
under each of its conditions, and writes all figures to ``FOLDER/60-steps/figures.json`` as they come. It may be stopped at any time; the
same command continues. ``--jobs 12`` trains twelve runs at a time: on one H200 and 14 cores, everything took seven minutes. On two cores
alone, ``--steps 25 --jobs 2`` should take about a day. ``--conditions`` chooses some conditions. ``--table`` trains nothing, and prints
the tables of ``docs/alignment_experiment.json``, the figures that were published.
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
import yaml
from ablations import RECIPES, ROOT, settings
from alignment_conditions import CONDITIONS, Condition, schedule, shares_baseline
from alignment_table import RETRIEVAL, tables

from lba_cli.cli.diagnosis import cpu

PUBLISHED = ROOT / "docs" / "alignment_experiment.json"
RECIPE, WARM_UP_RECIPE = RECIPES / "small-people.yaml", RECIPES / "small-people-warmup.yaml"
WARM_UP_SIZE = ("data.height=96", "data.width=48")


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
        with self.log(log).open("a") as written:
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

    def log(self, name: str) -> Path:
        return self.runs / f"{name}.log"

    @property
    def runs(self) -> Path:
        """The folder of the runs of this length."""
        return self.folder / f"{self.steps}-steps"

    @property
    def figures(self) -> Path:
        return self.runs / "figures.json"


def draw_people(shop: Workshop, preset: str) -> None:
    """Draw the people of a preset, with their truth, and others for the warm-up of the trunk."""
    for name, seed, more in (("people", 0, ["--truth"]), ("others", 1, [])):
        path = shop.people(preset, name)
        if not (path / "synthetic.json").exists():
            words = ("--preset", preset, "--seed", seed, "--output", path, *more)
            shop.lba(path.name, "prepare", "synthetic", *words)


def warm_up(shop: Workshop, condition: Condition) -> None:
    """Let the condition's trunk learn to distinguish other people of the same preset."""
    trunk = shop.trunk(condition)
    done = trunk.with_suffix(".done")
    if not done.exists():
        changed = settings([*WARM_UP_SIZE, *schedule(condition.warm_up, shop.steps)])
        others = shop.people(condition.preset, "others")
        shop.train(trunk.name, trunk, "--config", WARM_UP_RECIPE, *changed, "--data", others)
        done.touch()


def train(shop: Workshop, name: str, method: str) -> dict[str, Any]:
    """Train a method under a condition, or what is missing of it; return its figures for each seed."""
    condition, title = CONDITIONS[name], title_of(name, method)
    run, scored = shop.runs / title, shop.runs / f"{title}.json"
    options = condition.options(method, shop.steps)
    if not scored.exists():
        people = shop.people(condition.preset, "people")
        trunk = shop.trunk(condition) / "checkpoints" / "last.pt"
        start = ("--config", RECIPE, "--set", f"model.pretrained={trunk}", "--data", people)
        shop.train(title, run, *start, *options, "--seeds", *condition.seeds)
        shop.lba(title, "evaluate", run, "--data", people, "--correspondences", "--json", scored)
    return {
        "options": options,
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else cpu()["model"],
        "torch": torch.__version__,
        **read_figures(scored),
        "curves": {str(seed): curve(run, seed) for seed in condition.seeds},
    }


def title_of(name: str, method: str) -> str:
    """Return the name of the files of a method's runs under a condition."""
    return f"{name} {method}".replace(",", "").replace(" ", "-")


def read_figures(scored: Path) -> dict[str, Any]:
    """Read what is kept of the JSON file of ``lba evaluate --correspondences``."""
    content = json.loads(scored.read_text())
    (result,) = content["results"]
    measured = {each["checkpoint"]: each["runs"] for each in content["correspondences"]}
    (untrained,) = measured.pop("untrained")
    (correspondences,) = measured.values()
    return {
        "seeds": result["seeds"],
        "retrieval": [{figure: trial[figure] for figure in RETRIEVAL} for trial in result["trials"]],
        "correspondences": correspondences,
        "untrained": untrained,
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


def jobs(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return the runs to train, as condition and method; the baselines that others share are among them."""
    owners = [shares_baseline(name) or name for name in names]
    needed = [job for name, owner in zip(names, owners, strict=True) for job in ((owner, "baseline"), (name, "full"))]
    return list(dict.fromkeys(needed))


def run(shop: Workshop, names: Sequence[str]) -> None:
    """Run the conditions, and keep the figures of each method as soon as its runs are complete.

    Raises:
        SystemExit: a command failed; the others have ended.
    """
    wanted = jobs(names)
    conditions = [CONDITIONS[name] for name, _ in wanted]
    for preset in dict.fromkeys(condition.preset for condition in conditions):
        draw_people(shop, preset)  # uses every core
    with ThreadPoolExecutor(shop.jobs) as pool:
        try:
            trunks = {shop.trunk(condition): condition for condition in conditions}
            list(pool.map(partial(warm_up, shop), trunks.values()))
            keep_as_they_come(shop, {pool.submit(train, shop, *job): job for job in wanted})
        except BaseException:  # Ctrl-C, too: what runs now saves its state, and nothing else begins
            pool.shutdown(cancel_futures=True)
            raise


def keep_as_they_come(shop: Workshop, running: Mapping[Future[dict[str, Any]], tuple[str, str]]) -> None:
    failed = False
    for done in as_completed(running):
        name, method = running[done]
        if problem := done.exception():
            print(f"{problem} Its output is in {shop.log(title_of(name, method))}", file=sys.stderr, flush=True)
            failed = True
        else:
            keep(shop.figures, name, method, done.result())
    if failed:
        raise SystemExit(1)


def keep(path: Path, name: str, method: str, found: Mapping[str, Any]) -> None:
    """Add the figures of a method under a condition to the JSON file, in the order of the table."""
    conditions = json.loads(path.read_text())["conditions"] if path.exists() else {}
    before = conditions.get(name, {**CONDITIONS[name].described(), "baseline_of": shares_baseline(name)})
    conditions[name] = {**before, method: found}
    content = {
        "command": "python tests/alignment_experiment.py FOLDER",
        "recipe": yaml.safe_load(RECIPE.read_text()),
        "warm_up_recipe": yaml.safe_load(WARM_UP_RECIPE.read_text()),
        "conditions": {name: conditions[name] for name in CONDITIONS if name in conditions},
    }
    part = path.with_suffix(".part")
    part.write_text(json.dumps(content, indent=1) + "\n")
    part.replace(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", help="where the people, the runs and their figures are kept")
    parser.add_argument("--conditions", nargs="+", choices=list(CONDITIONS), default=list(CONDITIONS))
    parser.add_argument("--steps", type=int, default=Workshop.steps, help="the number of steps of an epoch")
    parser.add_argument("--jobs", type=int, default=1, help="how many commands run at a time")
    parser.add_argument("--table", action="store_true", help="only print the tables of the published figures")
    asked = parser.parse_args()
    if asked.table:
        print("\n\n".join("\n".join(lines) for lines in tables(json.loads(PUBLISHED.read_text()))))
    elif asked.folder:
        shop = Workshop(asked.folder, asked.steps, asked.jobs)
        shop.runs.mkdir(parents=True, exist_ok=True)
        run(shop, asked.conditions)
    else:
        parser.error("name a folder, or ask for the --table")


if __name__ == "__main__":
    main()
