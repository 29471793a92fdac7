"""The result of evaluating one model in one setting and variant: metrics as fractions.

A result holds one set of metrics for each gallery draw; or for each trial of RegDB, which has a model of its own; or for each
seed of a folder of seeds, whose metrics are means over the draws.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from lba_cli.datasets import Setting
from lba_cli.evaluation.ranking import Metrics
from lba_cli.evaluation.verification_results import verification_json, verification_means

FIGURES = ("rank1", "rank5", "rank10", "rank20", "mAP", "mINP")


@dataclass(frozen=True)
class ScoredModel:
    """The model that was scored.

    Attributes:
        path: the model's checkpoint, or a file of features.
        trained_on: the name of the data set that the model was trained on; empty if unknown.
        epoch: the last epoch of its training, counted from 0; None if unknown, or if it differs between trials.
        selected_on: the people whose mAP selected the epoch, ``validation`` or ``test`` of the scored data set; empty if none did.
        fingerprint: the digest of its weights that search indexes record; empty if it wasn't computed.
    """

    path: str = ""
    trained_on: str = ""
    epoch: int | None = None
    selected_on: str = ""
    fingerprint: str = ""

    @property
    def name(self) -> str:
        """The model's name in tables: the checkpoint's path, or the run's path for its last checkpoint."""
        return self.path.removesuffix("/checkpoints/last.pt")


UNKNOWN_MODEL = ScoredModel()


@dataclass(frozen=True)
class Result:
    """The figures of one model in one setting and variant.

    Attributes:
        dataset, benchmark: the name of the data set, and the data set whose protocol was used.
        trials: the metrics of every draw, of every trial of the data set, or of every seed.
        num_query, num_gallery: the numbers of queries, including queries without a match, and of gallery images in the first
            draw. All draws have galleries of the same size.
        variant: ``plain``, or the names of the extras that were used, joined by plus signs.
        direction: the modalities of queries and gallery, such as ``infrared-to-visible``.
        num_distractors: the number of identities in the first gallery that have no query.
        trial_numbers: the numbers of the data set's trials that were scored; empty if it has only one.
        seeds: the seeds of the runs in ``trials``; empty if the result isn't that of a folder of seeds.
        draws: the number of draws that each seed's metrics are the means of; 0 without seeds.
        note: a remark for readers of the figures.
        reranking: the parameters k1, k2 and lambda of re-ranking; empty without re-ranking.
        root: the folder of the data, if the data set's name doesn't identify them, as for a user's own images.
        verification: the figures of verification (:meth:`Verification.figures`) of each entry of ``trials``; empty without them.
    """

    dataset: str
    setting: Setting
    trials: tuple[Metrics, ...]
    num_query: int
    num_gallery: int
    benchmark: str = "sysu"
    variant: str = "plain"
    model: ScoredModel = UNKNOWN_MODEL
    direction: str = "infrared-to-visible"
    num_distractors: int = 0
    trial_numbers: tuple[int, ...] = ()
    note: str = ""
    reranking: Mapping[str, int | float] = field(default_factory=dict)
    root: str = ""
    seeds: tuple[int, ...] = ()
    draws: int = 0
    verification: tuple[Mapping[str, float], ...] = ()

    @property
    def repetition(self) -> str:
        """What the metrics in ``trials`` differ in: ``seed``, ``trial`` (of RegDB) or ``draw`` (of a gallery)."""
        if self.seeds:
            return "seed"
        return "trial" if len(self.trial_numbers) == len(self.trials) else "draw"

    @property
    def deviation(self) -> Callable[[Sequence[float]], float]:
        """The standard deviation of a figure over the draws, trials or seeds, see :meth:`spread`."""
        return statistics.stdev if len(self.seeds) > 1 else statistics.pstdev

    def at_seeds(self, seeds: Sequence[int]) -> "Result":
        """Return the part of the result that belongs to these seeds."""
        trials = tuple(self.trials[self.seeds.index(seed)] for seed in seeds)
        return replace(self, trials=trials, seeds=tuple(seeds))

    def figures(self) -> list[dict[str, float]]:
        """Return a list with a dictionary of rank-1, -5, -10, -20, mAP and mINP for each trial."""
        return [
            {**{f"rank{k}": float(trial.cmc[k - 1]) for k in (1, 5, 10, 20)}, "mAP": trial.mAP, "mINP": trial.mINP}
            for trial in self.trials
        ]

    def mean(self) -> dict[str, float]:
        """Return the mean of each figure over the trials."""
        return {name: statistics.fmean(trial[name] for trial in self.figures()) for name in FIGURES}

    def verification_mean(self) -> Mapping[str, float]:
        """Return the mean of each figure of verification that all draws have; empty without verification."""
        return next(iter(verification_means(self.verification)), {})

    def mean_cmc(self) -> list[float]:
        """Return the mean CMC over the trials, for ranks 1 to 20."""
        return [statistics.fmean(rates) for rates in zip(*(trial.cmc.tolist() for trial in self.trials), strict=True)]

    def spread(self) -> dict[str, float]:
        """Return the standard deviation of each figure over the draws, trials or seeds.

        Over draws and trials it has N in the denominator. Seeds are a sample of all seeds, so it has N − 1 there; it is 0 for a
        single seed.
        """
        return {name: self.deviation([trial[name] for trial in self.figures()]) for name in FIGURES}

    def query_words(self) -> str:
        """Return the number of queries as text, such as ``90/100`` if only 90 of 100 have a match and count."""
        counted = self.trials[0].num_queries
        return f"{counted}" if counted == self.num_query else f"{counted}/{self.num_query}"

    def as_json(self) -> dict[str, Any]:
        """Return the result as a dictionary for JSON."""
        return {
            "dataset": self.dataset,
            "root": self.root or None,
            "benchmark": self.benchmark,
            **asdict(self.setting),
            "variant": self.variant,
            "reranking": dict(self.reranking) or None,
            "direction": self.direction,
            "checkpoint": self.model.path,
            "trained_on": self.model.trained_on or None,
            "epoch": self.model.epoch,
            "selected_on": self.model.selected_on or None,
            "trial_numbers": list(self.trial_numbers),
            "seeds": list(self.seeds) or None,
            "std_over": f"{self.repetition}s",
            "trials": self.figures(),
            "mean": self.mean(),
            "std": self.spread(),
            "num_query": self.num_query,
            "num_gallery": self.num_gallery,
            "num_query_counted": self.trials[0].num_queries,
            "num_distractors": self.num_distractors,
            "note": self.note,
            **({"verification": self._verification_json()} if self.verification else {}),
        }

    def _verification_json(self) -> dict[str, Any]:
        return {"model": self.model.fingerprint, **verification_json(self.verification, self.deviation)}
