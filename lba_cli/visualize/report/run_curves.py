"""Collect the curves of a run, and the CMC of every setting."""

import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from lba_cli.evaluation.result import Result
from lba_cli.visualize.curves import FIGURES, is_number, label, loss_terms

MOST_EPOCHS = 1_000


def curves(records: Sequence[dict[str, Any]] | None) -> dict[str, Any] | None:
    """Return the loss terms, the learning rate and the figures of a run over its epochs.

    Only every n-th epoch of a long run is kept, so that about 1,000 remain. Values that aren't finite numbers are left out.

    Args:
        records: the lines of the run's ``metrics.jsonl``; None if there is no run.

    Returns:
        For each chart, the names of its curves and their [epoch, value] points; figures are fractions. None if there are no
        epochs.
    """
    if not records:
        return None
    step = math.ceil(len(records) / MOST_EPOCHS)
    kept = [record for number, record in enumerate(records) if number % step == 0 or number == len(records) - 1]
    rates = [{"epoch": record["epoch"], "rates": record} for record in kept]
    return {
        "losses": _lines(kept, "losses", loss_terms(kept)),
        "learning_rate": _lines(rates, "rates", ["learning_rate"]),
        "figures": _lines(kept, "evaluation", FIGURES),
    }


def cmc(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Return the mean and population standard deviation of each result's CMC over its draws, ranks 1 to 20, as fractions."""
    charts = []
    for result in results:
        rates_by_rank = list(zip(*(draw.cmc.tolist() for draw in result.trials), strict=True))
        charts.append(
            {
                "setting": str(result.setting),
                "variant": result.variant,
                "draws": len(result.trials),
                "mean": [round(statistics.fmean(rates), 5) for rates in rates_by_rank],
                "std": [round(statistics.pstdev(rates), 5) for rates in rates_by_rank],
            }
        )
    return charts


def _lines(records: Sequence[dict[str, Any]], section: str, keys: Iterable[str]) -> list[dict[str, Any]]:
    """Return the curves of ``keys`` in a section of the records, without curves that have no point."""
    filled = [(record["epoch"], record[section]) for record in records if isinstance(record.get(section), dict)]
    lines = [
        {
            "name": label(key),
            "points": [
                [epoch, values[key]] for epoch, values in filled if is_number(epoch) and is_number(values.get(key))
            ],
        }
        for key in keys
    ]
    return [line for line in lines if line["points"]]
