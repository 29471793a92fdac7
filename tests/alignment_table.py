"""The tables of ``docs/methods.md`` that belong to the kept figures of ``tests/alignment_experiment.py``."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lba_cli.evaluation.differences import half_interval

METHODS = ("baseline", "full")
STAGE = "layer3"
# The figures of the table: their names in the JSON of ``lba evaluate --correspondences``, and their headings.
RETRIEVAL = {"mAP": "mAP", "rank1": "rank-1"}
MATCHES = {
    ("strongest", "pck_0.10"): "PCK 10%",
    ("unplaced", "pck_0.10"): "PCK 10%, place removed",
    ("strongest", "same_place"): "same place",
    ("strongest", "on_person"): "on person",
}
SEPARATION = "same_versus_other"
# Predictions without a network: each position's own place in the other image, and a random one on the person.
CHANCE = {"itself": "own place", "random": "random place"}


def figures(found: Mapping[str, Any]) -> list[list[float]]:
    """Return the columns of the table: each has a value for each seed, in percent."""
    stages = [run[STAGE] for run in found["correspondences"]]
    columns = [[trial[name] for trial in found["retrieval"]] for name in RETRIEVAL]
    columns += [[stage[kind][name] for stage in stages] for kind, name in MATCHES]
    columns.append([stage[SEPARATION] for stage in stages])
    return [[100 * value for value in column] for column in columns]


def table(kept: Mapping[str, Any]) -> list[str]:
    """Return the lines of the Markdown table: both methods of each condition, and their paired difference."""
    headings = ["condition", "", "seeds", *RETRIEVAL.values(), *MATCHES.values(), "same or other"]
    rows = ([name, *cells] for name, condition in kept["conditions"].items() for cells in block(condition))
    return markdown(headings, rows)


def block(condition: Mapping[str, Any]) -> list[list[str]]:
    """Return the rows of a condition: the mean and standard deviation of both methods, and their paired difference."""
    baseline, full = (figures(condition[method]) for method in METHODS)
    seeds = str(len(baseline[0]))
    rows = [
        [method, seeds, *(f"{statistics.fmean(values):.1f} ± {statistics.stdev(values):.1f}" for values in columns)]
        for method, columns in zip(METHODS, (baseline, full), strict=True)
    ]
    return [*rows, ["difference", seeds, *(difference(*pair) for pair in zip(baseline, full, strict=True))]]


def chance(kept: Mapping[str, Any]) -> list[str]:
    """Return the lines of a table of what matches without training: once for each set of people and size of images."""
    headings = ["people", "images", "prediction", *MATCHES.values(), "same or other"]
    rows = {(each["preset"], *each["size"]): untrained(each) for each in kept["conditions"].values()}
    named = (
        [preset, f"{height} × {width}", *cells] for (preset, height, width), block in rows.items() for cells in block
    )
    return markdown(headings, named)


def untrained(condition: Mapping[str, Any]) -> list[list[str]]:
    """Return the rows of a network with random weights, and of predictions without a network."""
    stage = condition["full"]["untrained"][STAGE]
    matches = [f"{100 * stage[kind][name]:.1f}" for kind, name in MATCHES]
    rows = [["random weights", *matches, f"{100 * stage[SEPARATION]:.1f}"]]
    for kind, title in CHANCE.items():
        values = [stage[kind].get(name) if predicted == "strongest" else None for predicted, name in MATCHES]
        rows.append([title, *("–" if value is None else f"{100 * value:.1f}" for value in values), "50.0"])
    return rows


def curves(kept: Mapping[str, Any]) -> list[str]:
    """Return the lines of a table of the loss and the test people's mAP after each quarter of the runs; means over the seeds."""
    quarters = ["a quarter", "a half", "three quarters", "the run"]
    headings = ["condition", "method", *(f"loss after {quarters[0]}", *quarters[1:])]
    headings += [f"mAP after {quarters[0]}", *quarters[1:]]
    rows = [
        [name, method, *learnt(condition[method]["curves"].values())]
        for name, condition in kept["conditions"].items()
        for method in METHODS
        if "of" not in condition[method]  # another condition has these runs
    ]
    return markdown(headings, rows)


def learnt(seeds: Iterable[Sequence[Mapping[str, float]]]) -> list[str]:
    """Return the mean losses and the mean mAP after the epochs that ended with an evaluation."""
    epochs = [points for points in zip(*seeds, strict=True) if "mAP" in points[0]]
    losses = [f"{statistics.fmean(point['loss'] for point in points):.2f}" for points in epochs]
    return [*losses, *(f"{100 * statistics.fmean(point['mAP'] for point in points):.1f}" for points in epochs)]


def markdown(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [row(headings), "|" + " --- |" * len(headings), *map(row, rows)]


def row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def difference(baseline: Sequence[float], full: Sequence[float]) -> str:
    """Return the mean difference of the seeds, and the limits of its 95 % interval."""
    differences = [b - a for a, b in zip(baseline, full, strict=True)]
    mean, half = statistics.fmean(differences), half_interval(differences)
    return f"{mean:+.1f} ({mean - half:+.1f} … {mean + half:+.1f})"
