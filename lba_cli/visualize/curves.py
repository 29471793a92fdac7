"""The curves of a run: losses, learning rate, retrieval figures and CMC."""

from __future__ import annotations

from typing import Any, NamedTuple

from matplotlib.figure import Figure

from lba_cli.errors import LbaError
from lba_cli.visualize.canvas import (
    BELOW,
    EDGE,
    HEADROOM,
    INCHES,
    LABELS,
    head_of,
    headline,
    new_figure,
    plot_curves,
    plot_grid,
)
from lba_cli.vocabulary import PaperWidth

LOSS_NAMES = {
    "identity": "identity",
    "hard_triplet": "hard triplet",
    "identity_consistency_stage3": "identity consistency, layer3",
    "identity_consistency_stage4": "identity consistency, layer4",
    "dense_triplet": "dense triplet",
}
FIGURE_NAMES = {"rank1": "rank-1", "mAP": "mAP", "mINP": "mINP"}


def curves(records: list[dict[str, Any]], name: str, *, width: PaperWidth = "page") -> Figure:
    """Draw the curves of a run from the lines of its ``metrics.jsonl``, in one column or in two.

    Raises:
        LbaError: the run has no epoch yet, or a line lacks what runs write.
    """
    if not records:
        raise LbaError(f"{name}: no epoch is complete yet, so there are no curves")
    try:
        return _draw(records, name, width)
    except (LookupError, TypeError, ValueError, AttributeError) as problem:
        raise LbaError(
            f"{name}: its metrics.jsonl has lines that no run writes; put the run's own file back"
        ) from problem


def _draw(records: list[dict[str, Any]], name: str, width: PaperWidth) -> Figure:
    plots = (_losses(records), _rate(records), _figures(records), _cmc(records))
    columns, tall = (2, 1.4) if width == "page" else (1, 1.2)
    wide = INCHES[width] / columns - LABELS - EDGE
    heads = [head_of(list(plot.curves), wide) for plot in plots]
    rows = [max(heads[n : n + columns]) for n in range(0, len(plots), columns)]
    figure = new_figure(INCHES[width], HEADROOM + sum(rows) + len(rows) * (tall + BELOW))
    for axes, plot in zip(plot_grid(figure, rows, columns), plots, strict=True):
        plot_curves(axes, plot.curves, plot.x, plot.y, plot.title)
        if plot.x == "rank" and plot.curves:
            axes.set_xticks([1, 5, 10, 15, 20])
    headline(figure, 0.1, name)
    return figure


class _Plot(NamedTuple):
    """What one of the plots shows."""

    title: str
    x: str
    y: str
    curves: dict[str, tuple[list[float], list[float]]]


def _losses(records: list[dict[str, Any]]) -> _Plot:
    epochs = [record["epoch"] for record in records]
    terms = {
        shown: (epochs, [record["losses"][key] for record in records])
        for key, shown in LOSS_NAMES.items()
        if key in records[0]["losses"]
    }
    return _Plot("Losses", "epoch", "loss", terms)


def _rate(records: list[dict[str, Any]]) -> _Plot:
    values = [record["epoch"] for record in records], [record["learning_rate"] for record in records]
    return _Plot("Learning rate", "epoch", "", {"learning rate": values})


def _figures(records: list[dict[str, Any]]) -> _Plot:
    at = [record for record in records if "evaluation" in record]
    lines = {
        shown: ([record["epoch"] for record in at], [100 * record["evaluation"][key] for record in at])
        for key, shown in FIGURE_NAMES.items()
        if at
    }
    return _Plot("Retrieval", "epoch", "percent", lines)


def _cmc(records: list[dict[str, Any]]) -> _Plot:
    """Of the first evaluated epoch, the one of the best mAP, and the last."""
    evaluated = [record for record in records if "evaluation" in record]
    best = max(evaluated, key=lambda record: record["evaluation"]["mAP"], default=None)
    chosen = (evaluated[0], best, evaluated[-1]) if best else ()
    ranks: list[float] = list(range(1, 21))
    lines = {f"epoch {each['epoch']}": (ranks, [100 * rate for rate in each["evaluation"]["cmc"]]) for each in chosen}
    return _Plot("CMC", "rank", "percent", lines)
