"""The curves of a run, or of runs that differ in their seeds: losses, learning rate, retrieval figures and CMC."""

import re
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from types import MappingProxyType
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from lba_cli.errors import LbaError
from lba_cli.visualize.canvas import INCHES, headline, plot_curves, plot_grid
from lba_cli.vocabulary import PaperWidth

FIGURES = ("rank1", "mAP", "mINP")
NOT_TERMS = ("total", "correct")
LARGEST = 1e300  # much larger numbers can't be plotted, and don't exist in JavaScript


def loss_terms(records: Iterable[dict[str, Any]]) -> list[str]:
    """Return the keys of all loss terms in the lines of a ``metrics.jsonl``, in the order of their first appearance."""
    losses = [record["losses"] for record in records if isinstance(record.get("losses"), dict)]
    keys = dict.fromkeys(key for terms in losses for key, value in terms.items() if is_number(value))
    return [key for key in keys if key not in NOT_TERMS]


def label(key: str) -> str:
    """Return the label of a key in pictures: ``hard_triplet`` becomes ``hard triplet``, ``rank1`` becomes ``rank-1``."""
    return re.sub(r"^rank(\d+)$", r"rank-\1", key.replace("_", " "))


def is_number(value: object) -> bool:
    """Return whether a value from JSON is a number that can be plotted."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST


def curves(records: Sequence[dict[str, Any]], name: str, *, width: PaperWidth = "page") -> Figure:
    """Draw the curves of a run in two columns, or in one if ``width`` is ``column``.

    Args:
        records: the lines of the run's ``metrics.jsonl``.
        name: the run's name, for the headline and for messages.

    Raises:
        LbaError: no epoch of the run is complete yet, or a record doesn't have the form that training writes.
    """
    return _draw(_plots(records, name), name, width)


def curves_of_seeds(runs: Mapping[str, Sequence[dict[str, Any]]], name: str, *, width: PaperWidth = "page") -> Figure:
    """Draw the curves of runs that differ in their seeds: the mean over the runs, in a band from the least to the largest.

    A curve covers the epochs that all runs have. Of the CMC, only epochs that are shown of every run are drawn.

    Args:
        runs: the lines of each run's ``metrics.jsonl``, by the run's name.
        name: the name of all runs together, for the headline.

    Raises:
        LbaError: as for :func:`curves`.
    """
    plots = zip(*(_plots(records, run) for run, records in runs.items()), strict=True)
    return _draw([_over_runs(same) for same in plots], f"{name}: mean and range of {len(runs)} seeds", width)


def _plots(records: Sequence[dict[str, Any]], name: str) -> tuple["_Plot", ...]:
    if not records:
        raise LbaError(f"{name}: no epoch is complete yet, so there are no curves")
    try:
        return _losses(records), _learning_rate(records), _figures(records), _cmc(records)
    except (LookupError, TypeError, ValueError, AttributeError) as problem:
        reason = "its metrics.jsonl has lines that training didn't write; restore the original file"
        raise LbaError(f"{name}: {reason}") from problem


class _Plot(NamedTuple):
    """One plot: its title, the labels of its axes, the x and y values of each curve by name, and bands around curves.

    A band has the least and the largest y value for each x value of the curve with the same name.
    """

    title: str
    x: str
    y: str
    curves: dict[str, tuple[list[float], list[float]]]
    bands: Mapping[str, tuple[list[float], list[float]]] = MappingProxyType({})


def _over_runs(plots: Sequence[_Plot]) -> _Plot:
    """Join the same plot of several runs."""
    first = plots[0]
    lines, bands = {}, {}
    for name in first.curves:
        if not all(name in plot.curves for plot in plots):
            continue
        points = [dict(zip(*plot.curves[name], strict=True)) for plot in plots]
        xs = [x for x in points[0] if all(x in values for values in points)]
        columns = [[values[x] for values in points] for x in xs]
        lines[name] = xs, [fmean(column) for column in columns]
        bands[name] = [min(column) for column in columns], [max(column) for column in columns]
    return first._replace(curves=lines, bands=bands)


def _draw(plots: Sequence[_Plot], name: str, width: PaperWidth) -> Figure:
    columns, plot_height = (2, 1.4) if width == "page" else (1, 1.2)
    figure, grid = plot_grid(INCHES[width], [list(plot.curves) for plot in plots], columns, plot_height)
    for axes, plot in zip(grid, plots, strict=True):
        plot_curves(axes, plot.curves, plot.x, plot.y, plot.title, plot.bands)
        if plot.x == "rank" and plot.curves:
            axes.set_xticks([1, 5, 10, 15, 20])
    headline(figure, 0.1, name)
    return figure


def _losses(records: Sequence[dict[str, Any]]) -> _Plot:
    losses = [(_number(record["epoch"]), dict(record["losses"])) for record in records]
    lines = {}
    for key in loss_terms(records):
        points = [(epoch, terms[key]) for epoch, terms in losses if is_number(terms.get(key))]
        lines[label(key)] = ([epoch for epoch, _ in points], [value for _, value in points])
    return _Plot("Losses", "epoch", "loss", lines)


def _learning_rate(records: Sequence[dict[str, Any]]) -> _Plot:
    epochs = [_number(record["epoch"]) for record in records]
    rates = [_number(record["learning_rate"]) for record in records]
    return _Plot("Learning rate", "epoch", "", {"learning rate": (epochs, rates)})


def _figures(records: Sequence[dict[str, Any]]) -> _Plot:
    evaluated = [record for record in records if "evaluation" in record]
    epochs = [_number(record["epoch"]) for record in evaluated]
    lines = {
        label(key): (epochs, [100 * _number(record["evaluation"][key]) for record in evaluated])
        for key in FIGURES
        if evaluated
    }
    noted = any("note" in record["evaluation"] for record in evaluated)
    return _Plot(f"Retrieval{' (see the run’s note)' * noted}", "epoch", "percent", lines)


def _cmc(records: Sequence[dict[str, Any]]) -> _Plot:
    """Return the plot of the CMC at the first evaluated epoch, the one with the best mAP, and the last one."""
    evaluated = [record for record in records if "evaluation" in record]
    best = max(evaluated, key=lambda record: record["evaluation"]["mAP"], default=None)
    lines = {}
    for record in (evaluated[0], best, evaluated[-1]) if best else ():
        rates = [100 * _number(rate) for rate in record["evaluation"]["cmc"]]
        lines[f"epoch {record['epoch']}"] = ([float(rank) for rank in range(1, len(rates) + 1)], rates)
    return _Plot("CMC", "rank", "percent", lines)


def _number(value: Any) -> float:
    if not is_number(value):
        raise ValueError(f"{value!r} is not a number")
    return float(value)
