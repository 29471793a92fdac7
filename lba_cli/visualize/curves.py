"""The curves of a run: losses, learning rate, retrieval figures and CMC."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from lba_cli.errors import LbaError
from lba_cli.visualize.canvas import INCHES, TEXT, headline, new_figure, plot_curves, plot_grid
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
    epochs = [record["epoch"] for record in records]
    evaluated = [record for record in records if "evaluation" in record]
    rows, columns = (2, 2) if width == "page" else (4, 1)
    figure = new_figure(INCHES[width], 2.3 * rows if width == "page" else 1.75 * rows)
    losses, rate, figures, cmc = plot_grid(figure, rows, columns)
    terms = {
        shown: (epochs, [r["losses"][key] for r in records])
        for key, shown in LOSS_NAMES.items()
        if key in records[0]["losses"]
    }
    plot_curves(losses, terms, "epoch", "loss")
    plot_curves(rate, {"learning rate": (epochs, [record["learning_rate"] for record in records])}, "epoch", "")
    at = [record["epoch"] for record in evaluated]
    lines = {shown: (at, [100 * r["evaluation"][key] for r in evaluated]) for key, shown in FIGURE_NAMES.items()}
    plot_curves(figures, lines, "epoch", "percent")
    if evaluated:
        best = max(evaluated, key=lambda record: record["evaluation"]["mAP"])
        chosen = {f"epoch {r['epoch']}": r["evaluation"]["cmc"] for r in (evaluated[0], best, evaluated[-1])}
        ranks = list(range(1, 21))
        plot_curves(
            cmc, {key: (ranks, [100 * v for v in values]) for key, values in chosen.items()}, "rank", "CMC, percent"
        )
    for axes, title in ((losses, "Losses"), (rate, "Learning rate"), (figures, "Retrieval"), (cmc, "CMC")):
        axes.set_title(title, fontsize=TEXT)
    headline(figure, 0.1, name)
    return figure
