"""The results of evaluating one or several models: metrics as fractions, and their JSON.

A result holds one set of metrics for each gallery draw; or for each trial of RegDB, which has a model of its own; or for each
seed of a folder of seeds, whose metrics are means over the draws.
"""

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from typing import Any

from lba_cli.datasets import PublishedResult, Setting, get_dataset
from lba_cli.evaluation.correspondence_results import ModelCorrespondences
from lba_cli.evaluation.differences import Difference
from lba_cli.evaluation.ranking import Metrics
from lba_cli.evaluation.verification_results import verification_json

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

    def mean_cmc(self) -> list[float]:
        """Return the mean CMC over the trials, for ranks 1 to 20."""
        return [statistics.fmean(rates) for rates in zip(*(trial.cmc.tolist() for trial in self.trials), strict=True)]

    def spread(self) -> dict[str, float]:
        """Return the standard deviation of each figure over the draws, trials or seeds.

        Over draws and trials it has N in the denominator. Seeds are a sample of all seeds, so it has N − 1 there; it is 0 for a
        single seed.
        """
        deviation = statistics.stdev if len(self.seeds) > 1 else statistics.pstdev
        return {name: deviation([trial[name] for trial in self.figures()]) for name in FIGURES}

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
            **({"verification": verification_json(self)} if self.verification else {}),
        }


@dataclass(frozen=True)
class EvaluationResults:
    """The results of one or several models, all with the same settings and variants in the same order.

    ``correspondences`` holds the same models, and an untrained network at the end; it is empty if none were measured.
    """

    models: tuple[tuple[Result, ...], ...]
    published: tuple[PublishedResult, ...] = ()
    correspondences: tuple[ModelCorrespondences, ...] = ()

    @property
    def results(self) -> tuple[Result, ...]:
        """The results of all models, one model after the other."""
        return tuple(result for model in self.models for result in model)

    def differences(self) -> list[Difference]:
        """Return the difference between every later model and the first one, in each setting and variant.

        Of folders of seeds, it is taken over the seeds that both have.
        """
        first, *others = self.models
        return [_difference(*pair) for other in others for pair in zip(first, other, strict=True)]

    def title(self) -> str:
        """Return the title of tables: training data, test data, protocol and number of trials."""
        result = self.results[0]
        root = f" at {result.root}" if result.root else ""
        names, trained, alike = f"{result.dataset}{root}", result.model.trained_on, self._trained_alike()
        if trained not in ("", result.dataset) or not alike:
            protocol = "" if result.dataset == get_dataset(result.benchmark).title else f" ({result.benchmark})"
            known = f"trained on {trained}, " if alike else ""
            names = f"{known}scored on {result.dataset}{protocol}{root}"
        numbers = f", {trial_words(result.trial_numbers)}" if result.trial_numbers else ""
        return f"{names}{numbers}, {result.setting.protocol} protocol{self._repetitions()}, in percent"

    def _repetitions(self) -> str:
        """Return the number of draws or seeds as text."""
        first = self.models[0][0]
        counts = sorted({len(model[0].trials) for model in self.models})
        if first.repetition == "trial":
            return ""
        words = f", {'–'.join(map(str, counts))} {first.repetition}{'s' if counts != [1] else ''}"
        return words + (f" (each the mean of {first.draws} draws)" if first.draws > 1 else "")

    def model_name(self, result: Result) -> str:
        """Return the name of a result's model in tables, with its training data if the models' training data differ."""
        trained = "" if self._trained_alike() else f" (trained on {result.model.trained_on or 'unknown data'})"
        return f"{result.model.name}{trained}"

    def published_name(self, row: PublishedResult) -> str:
        """Return the name of a published row in tables."""
        return f"published: {row.label} ({get_dataset(self.results[0].benchmark).title})"

    def _trained_alike(self) -> bool:
        return len({result.model.trained_on for result in self.results}) == 1

    def notes(self) -> list[str]:
        """Return a list of notes for readers of the tables, each on one line."""
        notes = [result.note for result in self.results if result.note]
        notes += [
            f"gallery identities without a query (distractors) in {each.setting.mode}: {each.num_distractors}"
            for each in self.models[0]
            if each.num_distractors and each.variant == "plain"
        ]
        return list(dict.fromkeys(notes))

    def as_json(self, **facts: Any) -> str:
        """Return all results as JSON text. ``facts`` are further entries of its top-level object."""
        content = {**facts, "results": [result.as_json() for result in self.results]}
        if len(self.models) > 1:
            content["comparison"] = [difference.as_json() for difference in self.differences()]
        if self.correspondences:
            content["correspondences"] = [model.as_json() for model in self.correspondences]
        if self.published:
            title = get_dataset(self.results[0].benchmark).title
            content["published"] = [
                {"published": row.label, "dataset": title, **asdict(row.setting), "figures": dict(row.figures)}
                for row in self.published
            ]
        return json.dumps(content, indent=2) + "\n"


def _difference(first: Result, other: Result) -> Difference:
    common = [seed for seed in first.seeds if seed in other.seeds]
    return Difference(first.at_seeds(common), other.at_seeds(common)) if common else Difference(first, other)


def trial_words(trials: Sequence[int], noun: str = "trial") -> str:
    """Return ascending numbers of trials (or of seeds) as text: ``trial 3``, ``trials 1–10``, ``trials 1, 3–5``; empty for none."""
    if not trials:
        return ""
    gaps = [n for n in range(1, len(trials)) if trials[n] != trials[n - 1] + 1]
    runs = [(trials[first], trials[end - 1]) for first, end in pairwise([0, *gaps, len(trials)])]
    numbers = ", ".join(f"{first}" if first == last else f"{first}–{last}" for first, last in runs)
    return f"{noun}{'s' if len(trials) > 1 else ''} {numbers}"
