"""The curves of a run, and the CMC of every setting with its spread over the trials."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

from lba_cli.evaluation.results import Result
from lba_cli.visualize.curves import FIGURE_NAMES, LOSS_NAMES

MOST_EPOCHS = 1_000
LARGEST = 1e300  # beyond it JavaScript's numbers end


def curves(records: Sequence[dict[str, Any]] | None) -> dict[str, Any] | None:
    """Losses, learning rate and figures over the epochs, from the lines of a run's ``metrics.jsonl``.

    Returns:
        For each chart its named lines of [epoch, value] points, figures as fractions; None where there are no epochs. Of
        a very long run every n-th epoch is kept. What isn't a finite number is left out.
    """
    if not records:
        return None
    step = math.ceil(len(records) / MOST_EPOCHS)
    kept = [record for number, record in enumerate(records) if number % step == 0 or number == len(records) - 1]
    return {
        "losses": _lines(kept, "losses", LOSS_NAMES),
        "rate": _lines([{"epoch": r["epoch"], "at": r} for r in kept], "at", {"learning_rate": "learning rate"}),
        "figures": _lines(kept, "evaluation", FIGURE_NAMES),
    }


def cmc(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Mean and population standard deviation of each result's CMC over its trials, ranks 1 to 20, as fractions."""
    charts = []
    for result in results:
        of_ranks = list(zip(*(trial.cmc.tolist() for trial in result.trials), strict=True))
        charts.append(
            {
                "setting": str(result.setting),
                "variant": result.variant,
                "trials": len(result.trials),
                "mean": [round(statistics.fmean(rates), 5) for rates in of_ranks],
                "std": [round(statistics.pstdev(rates), 5) for rates in of_ranks],
            }
        )
    return charts


def _lines(records: Sequence[dict[str, Any]], part: str, names: dict[str, str]) -> list[dict[str, Any]]:
    lines = []
    for key, shown in names.items():
        points = [[r["epoch"], r[part][key]] for r in records if isinstance(r.get(part), dict) and key in r[part]]
        points = [point for point in points if all(_is_number(value) for value in point)]
        if points:
            lines.append({"name": shown, "points": points})
    return lines


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST
