"""The figures of verification in results: their means over the draws, as rows of tables and as values for JSON."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lba_cli.evaluation.verification import FAR_LEVELS, tar_name, threshold_name

if TYPE_CHECKING:
    from lba_cli.evaluation.results import EvaluationResults, Result

TITLE = "Verification: do two images show the same person? Rates in percent"
COLUMNS = {
    "auc": "AUC",
    "eer": "EER",
    **{tar_name(far): f"TAR at FAR {far:.4g}" for far in FAR_LEVELS},
}
THRESHOLDS = {threshold_name(far): f"score at FAR {far:.4g}" for far in FAR_LEVELS}
Figures = Mapping[str, float]


def verification_means(draws: Sequence[Figures]) -> tuple[Figures, ...]:
    """Return the mean of each figure that all draws have, as the only element; nothing without draws."""
    return (_over(draws, statistics.fmean),) if draws else ()


def verification_json(result: Result) -> dict[str, Any]:
    """Return the figures of every draw, their means and standard deviations, and the model's fingerprint."""
    return {
        "model": result.model.fingerprint,
        "draws": [dict(each) for each in result.verification],
        "mean": _over(result.verification, statistics.fmean),
        "std": _over(result.verification, _deviation(result)),
    }


def verification_cells(result: Result, joint: str = " ± ") -> list[str]:
    """Return the cells of :data:`COLUMNS` in percent and of :data:`THRESHOLDS`; empty without a figure."""
    mean, spread = _over(result.verification, statistics.fmean), _over(result.verification, _deviation(result))
    several = len(result.verification) > 1
    cells = []
    for names, factor, digits in ((COLUMNS, 100, 2), (THRESHOLDS, 1, 4)):
        for name in names:
            shown = f"{factor * mean[name]:.{digits}f}" if name in mean else ""
            cells.append(
                shown
                + (f"{joint}{factor * spread[name]:.{digits}f}" if several and name in mean and factor > 1 else "")
            )
    return cells


def verified(results: EvaluationResults) -> list[Result]:
    """Return the results that have figures of verification."""
    return [result for result in results.results if result.verification]


def _over(draws: Sequence[Figures], statistic: Any) -> dict[str, float]:
    names = [name for name in draws[0] if all(name in draw for draw in draws)]
    return {name: float(statistic([draw[name] for draw in draws])) for name in names}


def _deviation(result: Result) -> Any:
    return statistics.stdev if len(result.seeds) > 1 else statistics.pstdev
