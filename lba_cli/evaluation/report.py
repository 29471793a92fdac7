"""What an evaluation found, as fractions, and the same as JSON."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lba_cli.evaluation.ranking import Metrics
from lba_cli.files import write_text
from lba_cli.vocabulary import Draw, Mode, Shots

FIGURES = ("rank1", "rank5", "rank10", "rank20", "mAP", "mINP")


@dataclass(frozen=True)
class Setting:
    """What is measured: the gallery's cameras, its images per identity and camera, and who draws them."""

    mode: Mode
    shots: Shots
    protocol: Draw


@dataclass(frozen=True)
class Result:
    """The figures of one setting.

    Attributes:
        dataset: its name.
        setting: what was measured.
        trials: the figures of every trial.
        num_query: queries, with those that have no match in the gallery.
        num_gallery: gallery images of the first trial (every trial has as many).
    """

    dataset: str
    setting: Setting
    trials: tuple[Metrics, ...]
    num_query: int
    num_gallery: int

    def figures(self) -> list[dict[str, float]]:
        """Each trial's rank-1, -5, -10, -20, mAP and mINP."""
        return [
            {**{f"rank{k}": float(trial.cmc[k - 1]) for k in (1, 5, 10, 20)}, "mAP": trial.mAP, "mINP": trial.mINP}
            for trial in self.trials
        ]

    def mean(self) -> dict[str, float]:
        """The mean of each figure over the trials."""
        return {name: statistics.fmean(trial[name] for trial in self.figures()) for name in FIGURES}

    def mean_cmc(self) -> list[float]:
        """The mean CMC over the trials, ranks 1 to 20."""
        return [statistics.fmean(rates) for rates in zip(*(trial.cmc.tolist() for trial in self.trials), strict=True)]

    def spread(self) -> dict[str, float]:
        """The population standard deviation of each figure over the trials (it divides by their number)."""
        return {name: statistics.pstdev(trial[name] for trial in self.figures()) for name in FIGURES}

    def as_json(self) -> dict[str, Any]:
        """The result as plain values."""
        return {
            "dataset": self.dataset,
            "mode": self.setting.mode,
            "shots": self.setting.shots,
            "protocol": self.setting.protocol,
            "trials": self.figures(),
            "mean": self.mean(),
            "std": self.spread(),
            "num_query": self.num_query,
            "num_gallery": self.num_gallery,
            "num_query_counted": self.trials[0].num_queries,
        }


def write_json(path: Path, results: Sequence[Result], **facts: Any) -> None:
    """Write ``results``, and ``facts`` beside them, to ``path``, whole or not at all."""
    write_text(path, json.dumps({**facts, "results": [result.as_json() for result in results]}, indent=2) + "\n")
