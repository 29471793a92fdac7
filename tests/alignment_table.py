"""The tables of ``docs/methods.md`` that belong to the figures of ``tests/alignment_experiment.py``."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from lba_cli.evaluation.differences import half_interval

METHODS = ("baseline", "full")
# The figures of the tables: their names in the JSON of ``lba evaluate --correspondences``, and their headings.
RETRIEVAL = {"mAP": "mAP", "rank1": "rank-1"}
MATCHES = {
    ("strongest", "pck_0.10"): "PCK 10%",
    ("unplaced", "pck_0.10"): "PCK 10%, place removed",
    ("strongest", "same_place"): "same place",
    ("strongest", "on_person"): "on person",
}
SEPARATION = {"same_versus_other": "same vs. other"}
PLACES = [*MATCHES.values(), *SEPARATION.values()]
# Predictions without a network: each position's own place in the other image, and a random one on the person.
CHANCE = {"itself": "own place", "random": "on the person"}
QUARTERS = ("a quarter", "a half", "three quarters", "the run")
Runs = Mapping[str, Any]


def tables(kept: Mapping[str, Any]) -> list[list[str]]:
    """Return all tables, as lines of Markdown."""
    return [methods(kept), differences(kept, "layer4"), chance(kept), curves(kept)]


def compared(kept: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Runs]]]:
    """Yield the conditions under which both methods have been trained, with the runs of both, in pairs of one seed."""
    conditions = kept["conditions"]
    for name, condition in conditions.items():
        owner = conditions.get(condition["baseline_of"] or name, {})
        if "full" in condition and "baseline" in owner:
            full = condition["full"]
            yield name, {"baseline": choose(owner["baseline"], full["seeds"]), "full": full}


def choose(runs: Runs, seeds: Sequence[int]) -> Runs:
    """Return the runs of some seeds, in this order."""
    chosen = [runs["seeds"].index(seed) for seed in seeds]
    columns = {column: [runs[column][at] for at in chosen] for column in ("seeds", "retrieval", "correspondences")}
    return {**runs, **columns, "curves": {str(seed): runs["curves"][str(seed)] for seed in seeds}}


def retrieval(runs: Runs) -> list[list[float]]:
    """Return the columns of retrieval: each has a value for each seed, in percent."""
    return [[100 * trial[name] for trial in runs["retrieval"]] for name in RETRIEVAL]


def matches(runs: Runs, stage: str) -> list[list[float]]:
    """Return the columns of a stage's matches: each has a value for each seed, in percent."""
    stages = [run[stage] for run in runs["correspondences"]]
    columns = [[100 * found[kind][name] for found in stages] for kind, name in MATCHES]
    return [*columns, *([100 * found[name] for found in stages] for name in SEPARATION)]


def methods(kept: Mapping[str, Any]) -> list[str]:
    """Return the table of both methods under each condition, and of their differences; the matches are those of layer3."""
    rows = []
    for name, runs in compared(kept):
        columns = {method: [*retrieval(runs[method]), *matches(runs[method], "layer3")] for method in METHODS}
        seeds = str(len(runs["full"]["seeds"]))
        rows += [[name, method, seeds, *map(mean, columns[method])] for method in METHODS]
        rows.append([name, "difference", seeds, *map(difference, *columns.values())])
    return markdown(["condition", "", "seeds", *RETRIEVAL.values(), *PLACES], rows)


def differences(kept: Mapping[str, Any], stage: str) -> list[str]:
    """Return the table of the differences of a stage's matches."""
    rows = [
        [name, str(len(runs["full"]["seeds"])), *map(difference, *(matches(runs[method], stage) for method in METHODS))]
        for name, runs in compared(kept)
    ]
    return markdown(["condition", "seeds", *PLACES], rows)


def chance(kept: Mapping[str, Any]) -> list[str]:
    """Return the table of what matches without training: once for each set of people and size of images."""
    blocks = {}
    for name, runs in compared(kept):
        condition = kept["conditions"][name]
        height, width = condition["size"]
        blocks[condition["preset"], f"{height} × {width}"] = untrained(runs["full"]["untrained"])
    rows = [[*measured, *cells] for measured, block in blocks.items() for cells in block]
    return markdown(["people", "images", "prediction", *PLACES], rows)


def untrained(found: Mapping[str, Any]) -> list[list[str]]:
    """Return the rows of both stages of a network with random weights, and of predictions without a network."""
    rows = []
    for stage in ("layer3", "layer4"):
        (*columns,) = matches({"correspondences": [found]}, stage)
        rows.append([f"untrained, {stage}", *(f"{value:.1f}" for (value,) in columns)])
    for kind, title in CHANCE.items():
        values = [found["layer3"][kind].get(name) if predicted == "strongest" else None for predicted, name in MATCHES]
        rows.append([title, *("–" if value is None else f"{100 * value:.1f}" for value in values), "–"])
    return rows


def curves(kept: Mapping[str, Any]) -> list[str]:
    """Return the table of the loss and the test people's mAP after each quarter of the runs, as means over the seeds."""
    headings = [f"{figure} after {quarter}" for figure in ("loss", "mAP") for quarter in QUARTERS]
    rows = [
        [name, method, *learnt(runs[method])]
        for name, runs in compared(kept)
        for method in METHODS
        if method in kept["conditions"][name]  # another condition has the runs that are shared
    ]
    return markdown(["condition", "method", *headings], rows)


def learnt(runs: Runs) -> list[str]:
    """Return the mean losses and the mean mAP after the epochs that ended with an evaluation.

    Raises:
        ValueError: there are more or fewer evaluations than quarters.
    """
    epochs = [points for points in zip(*runs["curves"].values(), strict=True) if "mAP" in points[0]]
    if len(epochs) != len(QUARTERS):
        raise ValueError(f"there are {len(epochs)} evaluations instead of {len(QUARTERS)}")
    losses = [f"{statistics.fmean(point['loss'] for point in points):.2f}" for points in epochs]
    return [*losses, *(f"{100 * statistics.fmean(point['mAP'] for point in points):.1f}" for points in epochs)]


def mean(values: Sequence[float]) -> str:
    return f"{statistics.fmean(values):.1f} ± {statistics.stdev(values):.1f}"


def difference(baseline: Sequence[float], full: Sequence[float]) -> str:
    """Return the mean difference of the seeds, and the limits of its 95 % interval."""
    paired = [b - a for a, b in zip(baseline, full, strict=True)]
    middle, half = statistics.fmean(paired), half_interval(paired)
    return f"{middle:+.1f} ({middle - half:+.1f} … {middle + half:+.1f})"


def markdown(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(cells)} |" for cells in (headings, *rows)]
    return [lines[0], "|" + " --- |" * len(headings), *lines[1:]]
