"""Differences between two models that were scored on the same draws, trials or seeds."""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from lba_cli.evaluation.result import Result

CONFIDENCE = 0.95
Value = TypeVar("Value")


@dataclass(frozen=True)
class Difference:
    """The difference between another model and the first one in one setting.

    It is taken draw by draw, trial by trial, or seed by seed. Figures are fractions.

    Attributes:
        first, other: the results of both models, with the same draws, trials or seeds.
    """

    first: Result
    other: Result

    def mean(self) -> dict[str, float]:
        """Return the mean difference of each figure."""
        return self._each(statistics.fmean)

    def spread(self) -> dict[str, float] | None:
        """Return the standard deviation of each difference, see :meth:`Result.spread`; None for a single value."""
        return self._each(self.first.deviation) if self._several else None

    def beyond_spread(self) -> dict[str, bool] | None:
        """Return for each figure whether the mean difference is larger than its standard deviation; None for a single value."""
        mean, spread = self.mean(), self.spread()
        return None if spread is None else {name: abs(mean[name]) > spread[name] for name in mean}

    def half_interval(self) -> dict[str, float] | None:
        """Return half the width of the 95 % interval of each mean difference over seeds, by Student's t distribution.

        The interval assumes that the differences are independent and roughly normal. None without at least two seeds: draws of
        one model don't tell how another training would end.
        """
        return self._each(half_interval) if self.first.seeds and self._several else None

    def agreeing(self) -> dict[str, int]:
        """Return for each figure in how many draws, trials or seeds the difference has the sign of the mean difference."""
        return self._each(lambda values: sum(value * statistics.fmean(values) > 0 for value in values))

    def as_json(self) -> dict[str, Any]:
        """Return the difference as values that JSON can hold."""
        half, mean = self.half_interval(), self.mean()
        return {
            **asdict(self.other.setting),
            "variant": self.other.variant,
            "checkpoint": self.other.model.path,
            "compared_with": self.first.model.path,
            "difference": mean,
            "difference_std": self.spread(),
            "std_over": f"{self.first.repetition}s",
            "beyond_spread": self.beyond_spread(),
            "interval_95": half and {name: [mean[name] - half[name], mean[name] + half[name]] for name in mean},
            "seeds": list(self.first.seeds) or None,
            "agreeing": self.agreeing(),
        }

    @property
    def _several(self) -> bool:
        return len(self.first.trials) > 1

    def _each(self, statistic: Callable[[list[float]], Value]) -> dict[str, Value]:
        """Compute a statistic of the differences of each figure."""
        pairs = list(zip(self.other.figures(), self.first.figures(), strict=True))
        return {name: statistic([other[name] - first[name] for other, first in pairs]) for name in pairs[0][0]}


def half_interval(values: Sequence[float]) -> float:
    """Return half the width of the 95 % interval of the mean of at least two values, by Student's t distribution."""
    from scipy.special import stdtrit

    quantile = float(stdtrit(len(values) - 1, (1 + CONFIDENCE) / 2))
    return quantile * statistics.stdev(values) / math.sqrt(len(values))
