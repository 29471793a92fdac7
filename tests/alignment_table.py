"""The tables of ``docs/methods.md`` that belong to the kept figures of ``tests/alignment_experiment.py``."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
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
    """Return the lines of the Markdown table: a block of rows for each condition."""
    headings = ["condition", "", "seeds", *RETRIEVAL.values(), *MATCHES.values(), "same or other"]
    lines = [row(headings), "|" + " --- |" * len(headings)]
    for name, condition in kept["conditions"].items():
        lines += [row([name, *cells]) for cells in block(condition)]
    return lines


def curves(kept: Mapping[str, Any]) -> list[str]:
    """Return the lines of a table of the loss and of the test people's mAP after each epoch, as means over the seeds."""
    runs = [
        (name, method, list(condition[method]["curves"].values()))
        for name, condition in kept["conditions"].items()
        for method in METHODS
    ]
    longest = max(len(curve) for _, _, curves in runs for curve in curves)
    headings = ["condition", "method", "after epoch", *map(str, range(1, longest + 1))]
    lines = [row(headings), "|" + " --- |" * len(headings)]
    for name, method, seeds in runs:
        for figure, factor, digits in (("loss", 1, 2), ("mAP", 100, 1)):
            means = [
                factor * statistics.fmean(point[figure] for point in points) for points in zip(*seeds, strict=True)
            ]
            cells = [f"{mean:.{digits}f}" for mean in means]
            lines.append(row([name, method, figure, *cells, *[""] * (longest - len(cells))]))
    return lines


def row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def block(condition: Mapping[str, Any]) -> list[list[str]]:
    """Return the rows of a condition: both methods, their paired difference, a network with random weights, and chance."""
    baseline, full = (figures(condition[method]) for method in METHODS)
    seeds = str(len(baseline[0]))
    rows = [
        [method, seeds, *(f"{statistics.fmean(values):.1f} ± {statistics.stdev(values):.1f}" for values in columns)]
        for method, columns in zip(METHODS, (baseline, full), strict=True)
    ]
    rows.append(["difference", seeds, *(difference(*pair) for pair in zip(baseline, full, strict=True))])
    untrained = condition["full"]["untrained"][STAGE]
    nothing = ["–"] * len(RETRIEVAL)
    matches = [f"{100 * untrained[kind][name]:.1f}" for kind, name in MATCHES]
    rows.append(["untrained", "–", *nothing, *matches, f"{100 * untrained[SEPARATION]:.1f}"])
    for kind, title in CHANCE.items():
        values = [untrained[kind].get(name) if predicted == "strongest" else None for predicted, name in MATCHES]
        rows.append(
            [title, "–", *nothing, *("–" if value is None else f"{100 * value:.1f}" for value in values), "50.0"]
        )
    return rows


def difference(baseline: Sequence[float], full: Sequence[float]) -> str:
    """Return the mean difference of the seeds, and the limits of its 95 % interval."""
    differences = [b - a for a, b in zip(baseline, full, strict=True)]
    mean, half = statistics.fmean(differences), half_interval(differences)
    return f"{mean:+.1f} ({mean - half:+.1f} … {mean + half:+.1f})"
