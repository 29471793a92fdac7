"""The figures of verification in results: their means over the draws, as rows of tables and as values for JSON."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lba_cli.evaluation.verification import FAR_LEVELS, tar_name, threshold_name

TITLE = "Verification: do two images show the same person? Rates in percent"
COLUMNS = {
    "auc": "AUC",
    "eer": "EER",
    **{tar_name(far): f"TAR at FAR {far:.4g}" for far in FAR_LEVELS},
}
THRESHOLDS = {threshold_name(far): f"score at FAR {far:.4g}" for far in FAR_LEVELS}
Figures = Mapping[str, float]
Statistic = Callable[[Sequence[float]], float]


def verification_means(draws: Sequence[Figures]) -> tuple[Figures, ...]:
    """Return the mean of each figure that all draws have, as the only element; nothing without draws."""
    return (_over(draws, statistics.fmean),) if draws else ()


def verification_json(draws: Sequence[Figures], deviation: Statistic) -> dict[str, Any]:
    """Return the figures of every draw, their means, and their standard deviations, which ``deviation`` computes."""
    return {
        "draws": [dict(each) for each in draws],
        "mean": _over(draws, statistics.fmean),
        "std": _over(draws, deviation),
    }


def verification_cells(draws: Sequence[Figures], deviation: Statistic, joint: str = " ± ") -> list[str]:
    """Return the cells of :data:`COLUMNS` in percent and of :data:`THRESHOLDS`; empty without a figure.

    The standard deviation of the rates, which ``deviation`` computes, follows after ``joint`` if there are several draws.
    """
    mean, spread = _over(draws, statistics.fmean), _over(draws, deviation)
    cells = []
    for names, factor, digits in ((COLUMNS, 100, 2), (THRESHOLDS, 1, 4)):
        for name in names:
            shown = f"{factor * mean[name]:.{digits}f}" if name in mean else ""
            with_spread = len(draws) > 1 and name in mean and names is COLUMNS
            cells.append(shown + (f"{joint}{factor * spread[name]:.{digits}f}" if with_spread else ""))
    return cells


def _over(draws: Sequence[Figures], statistic: Statistic) -> dict[str, float]:
    names = [name for name in draws[0] if all(name in draw for draw in draws)]
    return {name: float(statistic([draw[name] for draw in draws])) for name in names}
