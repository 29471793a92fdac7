"""The ROC curve of a draw's pairs of images, and the scores from which on two images count as one person."""

from typing import Any

import numpy as np

from lba_cli.evaluation.verification import roc, verification
from lba_cli.visualize.report.comparison import Comparison

MOST_POINTS = 121


def roc_curve(comparison: Comparison) -> dict[str, Any] | None:
    """Return the curve and the figures of verification over all pairs that the match rules don't ignore.

    Returns:
        ``points``: [decimal logarithm of the false accept rate, true accept rate], at most 121 of them, from the rate of one false accept
        on. ``figures``: the area under the curve and the equal error rate. ``rows``: a false accept rate, the true accept rate, and the score,
        or None if no score reaches the rate. ``counts``: the pairs of one person, and of two. None without either kind of pair.
    """
    counted = ~comparison.ignored
    scores, same = comparison.scores[counted], comparison.same[counted]
    if same.all() or not same.any():
        return None
    curve, figures = roc(scores, same), verification(scores, same)
    rates = np.geomspace(1 / curve.impostors, 1, MOST_POINTS if curve.impostors > 1 else 1)
    # The last point whose rate isn't larger. The tolerance keeps rounding from missing the points themselves.
    at = np.searchsorted(curve.far, rates * (1 + 1e-9), side="right") - 1
    points = np.stack([np.log10(rates), curve.tar[at]], axis=1)
    thresholds = figures.threshold_at_far
    return {
        "points": points.round(5).tolist(),
        "figures": [round(figures.auc, 5), round(figures.eer, 5)],
        "rows": [
            [far, round(tar, 5), round(thresholds[far], 4) if thresholds[far] < np.inf else None]
            for far, tar in figures.tar_at_far.items()
        ],
        "counts": [figures.genuine, figures.impostors],
    }
