"""Verification: do two images show the same person? Two images are accepted as one person if their score reaches a threshold.

A pair of images of one person is *genuine*, and a pair of two people an *impostor*. At a threshold t, the true accept rate TAR(t) is
the share of genuine pairs whose score is at least t, and the false accept rate FAR(t) the share of such impostors.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FAR_LEVELS = (1e-1, 1e-2, 1e-3, 1e-4)
FEWEST_IMPOSTORS = 10  # that a FAR must stand for; with fewer, single pairs would decide it


@dataclass(frozen=True)
class Verification:
    """The figures of verification, as fractions.

    Attributes:
        auc: the area under the ROC curve: the probability that a genuine pair has a higher score than an impostor. Ties count half.
        eer: the equal error rate: where FAR and 1 - TAR are equal, on straight lines between the points of the ROC curve.
        tar_at_far: by FAR, the largest TAR of a threshold whose FAR isn't larger. FARs are left out if fewer than 10 impostors decide.
        threshold_at_far: the threshold that belongs to it, the lowest score that can be used. It is infinite if no score can.
        genuine, impostors: the numbers of pairs.
    """

    auc: float
    eer: float
    tar_at_far: dict[float, float]
    threshold_at_far: dict[float, float]
    genuine: int
    impostors: int

    def figures(self) -> dict[str, float]:
        """Return all figures by names such as ``auc``, ``tar_at_0.001`` and ``threshold_at_0.001``, without infinite thresholds."""
        return {
            "auc": self.auc,
            "eer": self.eer,
            **{tar_name(far): rate for far, rate in self.tar_at_far.items()},
            **{threshold_name(far): score for far, score in self.threshold_at_far.items() if score < np.inf},
        }


def tar_name(far: float) -> str:
    """Return the name of the TAR at a FAR among the figures."""
    return f"tar_at_{far:g}"


def threshold_name(far: float) -> str:
    """Return the name of the threshold at a FAR among the figures."""
    return f"threshold_at_{far:g}"


def verification(scores: ArrayLike, same: ArrayLike) -> Verification:
    """Compute the figures of verification.

    Args:
        scores: (n,) finite numbers, larger for more similar images.
        same: (n,) bool, whether the pair shows one person.

    Raises:
        ValueError: the shapes differ, a score isn't finite, or there are no genuine pairs or no impostors.

    Example:
        >>> verification([0.9, 0.8, 0.7, 0.1], [True, False, True, False]).auc
        0.75
    """
    curve = roc(scores, same)
    lost = 1 - curve.tar
    crossing = int(np.argmax(curve.far >= lost))  # the first point where FAR isn't below 1 - TAR
    allowed = [far for far in FAR_LEVELS if round(far * curve.impostors, 9) >= FEWEST_IMPOSTORS]
    last = {far: int(np.flatnonzero(curve.far <= far)[-1]) for far in allowed}
    return Verification(
        float((np.diff(curve.far) * (curve.tar[1:] + curve.tar[:-1]) / 2).sum()),
        _equal(curve.far[crossing - 1 : crossing + 1], lost[crossing - 1 : crossing + 1]),
        {far: float(curve.tar[point]) for far, point in last.items()},
        {far: float(curve.threshold[point]) for far, point in last.items()},
        curve.genuine,
        curve.impostors,
    )


@dataclass(frozen=True)
class Roc:
    """The points of an ROC curve, one for each different score, by falling threshold. The first point accepts nothing.

    Attributes:
        far, tar, threshold: (points,) float64.
        genuine, impostors: the numbers of pairs.
    """

    far: NDArray[np.float64]
    tar: NDArray[np.float64]
    threshold: NDArray[np.float64]
    genuine: int
    impostors: int


def roc(scores: ArrayLike, same: ArrayLike) -> Roc:
    """Compute the ROC curve; arguments and errors as for :func:`verification`."""
    values, genuine = np.asarray(scores, np.float64), np.asarray(same)
    if values.ndim != 1 or genuine.shape != values.shape or genuine.dtype != bool:
        raise ValueError(f"scores and same should be (n,) numbers and booleans, not {values.shape} and {genuine.shape}")
    if not np.isfinite(values).all():
        raise ValueError("scores must be finite")
    if genuine.all() or not genuine.any():
        raise ValueError("there must be pairs of one person and pairs of two people")
    order = np.argsort(-values, kind="stable")
    ordered = values[order]
    ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))  # the last pair of each score
    accepted = np.cumsum(genuine[order])[ends]
    count = int(genuine.sum())
    return Roc(
        np.concatenate([[0.0], (ends + 1 - accepted) / (len(values) - count)]),
        np.concatenate([[0.0], accepted / count]),
        np.concatenate([[np.inf], ordered[ends]]),
        count,
        len(values) - count,
    )


def _equal(far: NDArray[np.float64], lost: NDArray[np.float64]) -> float:
    """Return the rate at which two straight lines cross, given the rates before and after the crossing."""
    before, after = lost - far
    share = before / (before - after)
    return float(far[0] + share * (far[1] - far[0]))
