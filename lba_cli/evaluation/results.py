"""What an evaluation found, as fractions: figures of every trial, of several models beside each other, and as JSON."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from lba_cli.datasets import PublishedResult, Setting, get_dataset
from lba_cli.evaluation.ranking import Metrics

FIGURES = ("rank1", "rank5", "rank10", "rank20", "mAP", "mINP")


@dataclass(frozen=True)
class Origin:
    """Whose features were scored.

    Attributes:
        model: the checkpoint's path, or that of a file of features.
        trained_on: the name of the data set it was trained on; empty where that isn't known.
        epoch: the last one it was trained for, counted from 0; None where that isn't known, or differs between splits.
    """

    model: str = ""
    trained_on: str = ""
    epoch: int | None = None

    @property
    def name(self) -> str:
        """What tables call the model: its path, that of its run for the best of a run."""
        return self.model.removesuffix("/checkpoints/best.pt")


@dataclass(frozen=True)
class Result:
    """The figures of one setting, scored in one way.

    Attributes:
        dataset: its name.
        setting: what was measured.
        trials: the figures of every trial.
        num_query: queries of the first trial, with those that have no match in the gallery.
        num_gallery: gallery images of the first trial (every trial has as many, except where the trials are splits).
        benchmark: whose protocol it was.
        variant: ``plain``, or the extras that were used, joined by plus signs.
        reranking: the parameters k1, k2 and lambda of re-ranking; empty without it.
        origin: whose features were scored.
        direction: the modalities of the queries and of the gallery, in words.
        num_distractors: identities of the first gallery that no query is of.
        trial_numbers: the data set's trials that were scored; empty where it has only one.
        note: what a reader of the figures has to know.
        root: the data's folder, where the name alone doesn't tell it: of own folders.
    """

    dataset: str
    setting: Setting
    trials: tuple[Metrics, ...]
    num_query: int
    num_gallery: int
    benchmark: str = "sysu"
    variant: str = "plain"
    origin: Origin = Origin()
    direction: str = "infrared-to-visible"
    num_distractors: int = 0
    trial_numbers: tuple[int, ...] = ()
    note: str = ""
    reranking: Mapping[str, int | float] = field(default_factory=dict)
    root: str = ""

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

    def query_words(self) -> str:
        """The number of queries; with those counted before it where some have no match."""
        counted = self.trials[0].num_queries
        return f"{counted}" if counted == self.num_query else f"{counted}/{self.num_query}"

    def as_json(self) -> dict[str, Any]:
        """The result as plain values."""
        return {
            "dataset": self.dataset,
            "root": self.root or None,
            "benchmark": self.benchmark,
            "mode": self.setting.mode,
            "shots": self.setting.shots,
            "protocol": self.setting.protocol,
            "variant": self.variant,
            "reranking": dict(self.reranking) or None,
            "direction": self.direction,
            "checkpoint": self.origin.model,
            "trained_on": self.origin.trained_on or None,
            "epoch": self.origin.epoch,
            "trial_numbers": list(self.trial_numbers),
            "trials": self.figures(),
            "mean": self.mean(),
            "std": self.spread(),
            "num_query": self.num_query,
            "num_gallery": self.num_gallery,
            "num_query_counted": self.trials[0].num_queries,
            "num_distractors": self.num_distractors,
            "note": self.note,
        }


@dataclass(frozen=True)
class Difference:
    """How a model differs from the first one in one setting, over trials that draw the same images for both."""

    first: Result
    other: Result

    def mean(self) -> dict[str, float]:
        """The mean of each figure's trial-wise differences."""
        return {name: statistics.fmean(values) for name, values in self._each().items()}

    def spread(self) -> dict[str, float] | None:
        """Their population standard deviation; None where there is one trial."""
        if len(self.first.trials) < 2:
            return None
        return {name: statistics.pstdev(values) for name, values in self._each().items()}

    def beyond_spread(self) -> dict[str, bool] | None:
        """Of each figure, whether the mean difference is larger than the differences' standard deviation."""
        mean, spread = self.mean(), self.spread()
        return None if spread is None else {name: abs(mean[name]) > spread[name] for name in FIGURES}

    def as_json(self) -> dict[str, Any]:
        """The difference as plain values."""
        setting = self.other.setting
        return {
            "mode": setting.mode,
            "shots": setting.shots,
            "protocol": setting.protocol,
            "variant": self.other.variant,
            "checkpoint": self.other.origin.model,
            "compared_with": self.first.origin.model,
            "difference": self.mean(),
            "difference_std": self.spread(),
            "beyond_spread": self.beyond_spread(),
        }

    def _each(self) -> dict[str, list[float]]:
        pairs = list(zip(self.other.figures(), self.first.figures(), strict=True))
        return {name: [other[name] - first[name] for other, first in pairs] for name in FIGURES}


@dataclass(frozen=True)
class Report:
    """Everything that an evaluation tells.

    Attributes:
        models: the results of each model, all in the same settings and variants, in the same order.
        published: figures of the method's authors for these settings.
    """

    models: tuple[tuple[Result, ...], ...]
    published: tuple[PublishedResult, ...] = ()

    @property
    def results(self) -> tuple[Result, ...]:
        """Of all the models, one after the other."""
        return tuple(result for model in self.models for result in model)

    def differences(self) -> list[Difference]:
        """Of every model but the first to the first, in each setting and variant."""
        first, *others = self.models
        return [Difference(*pair) for other in others for pair in zip(first, other, strict=True)]

    def title(self) -> str:
        """What the tables show: trained on what, scored on what, by whose draws, in how many trials."""
        result = self.results[0]
        root = f" at {result.root}" if result.root else ""
        names, trained = f"{result.dataset}{root}", result.origin.trained_on
        if trained not in ("", result.dataset) or not self._trained_alike():
            protocol = "" if result.dataset == get_dataset(result.benchmark).title else f" ({result.benchmark})"
            names = f"scored on {result.dataset}{protocol}{root}"
            names = f"trained on {trained}, {names}" if self._trained_alike() else names
        numbers = f", {trial_words(result.trial_numbers)}" if result.trial_numbers else ""
        count = len(result.trials)
        draws = "" if len(result.trial_numbers) == count else f", {count} draw{'s' if count > 1 else ''}"
        return f"{names}{numbers}, {result.setting.protocol} protocol{draws}, in percent"

    def model_name(self, result: Result) -> str:
        """What tables call a result's model; with what it was trained on where the models differ in that."""
        origin = result.origin
        return (
            origin.name
            if self._trained_alike()
            else f"{origin.name} (trained on {origin.trained_on or 'unknown data'})"
        )

    def published_name(self, row: PublishedResult) -> str:
        """The label of a published row in tables."""
        return f"published: {row.label} ({get_dataset(self.results[0].benchmark).title})"

    def _trained_alike(self) -> bool:
        return len({result.origin.trained_on for result in self.results}) == 1

    def notes(self) -> list[str]:
        """What a reader has to know besides, one line each."""
        notes = [result.note for result in self.results if result.note]
        notes += [
            f"{each.num_distractors} gallery identities are of no query (distractors) in {each.setting.mode}"
            for each in self.models[0]
            if each.num_distractors and each.variant == "plain"
        ]
        return list(dict.fromkeys(notes))

    def as_json(self, **facts: Any) -> str:
        """The whole report as JSON text, with ``facts`` beside it."""
        content = {**facts, "results": [result.as_json() for result in self.results]}
        if len(self.models) > 1:
            content["comparison"] = [difference.as_json() for difference in self.differences()]
        if self.published:
            content["published"] = [self._published_as_json(each) for each in self.published]
        return json.dumps(content, indent=2) + "\n"

    def _published_as_json(self, row: PublishedResult) -> dict[str, Any]:
        return {
            "published": row.label,
            "dataset": get_dataset(self.results[0].benchmark).title,
            "mode": row.setting.mode,
            "shots": row.setting.shots,
            "protocol": row.setting.protocol,
            "figures": dict(row.figures),
        }


def over_trials(results: Sequence[Sequence[Result]]) -> tuple[Result, ...]:
    """One result a setting and variant from those of ten models, each of its own split: its trials are theirs."""
    return tuple(
        replace(
            of_trials[0],
            trials=tuple(trial for result in of_trials for trial in result.trials),
            trial_numbers=tuple(number for result in of_trials for number in result.trial_numbers),
            origin=_shared([result.origin for result in of_trials], of_trials[0].dataset),
        )
        for of_trials in zip(*results, strict=True)
    )


def _shared(origins: Sequence[Origin], dataset: str) -> Origin:
    """What the models of ten splits have in common; of what they were trained on, all that the data's own name isn't."""
    same_epoch = len({origin.epoch for origin in origins}) == 1
    trained = list(dict.fromkeys(origin.trained_on for origin in origins if origin.trained_on != dataset))
    return replace(
        origins[0],
        epoch=origins[0].epoch if same_epoch else None,
        trained_on=" and ".join(trained) or origins[0].trained_on,
    )


def trial_words(trials: Sequence[int]) -> str:
    """Trials in ascending order as text: ``trial 3``, ``trials 1–10``, ``trials 1, 3–5``; empty where there is none."""
    if not trials:
        return ""
    gaps = [n for n in range(1, len(trials)) if trials[n] != trials[n - 1] + 1]
    runs = [(trials[first], trials[end - 1]) for first, end in pairwise([0, *gaps, len(trials)])]
    numbers = ", ".join(f"{first}" if first == last else f"{first}–{last}" for first, last in runs)
    return f"trial{'s' if len(trials) > 1 else ''} {numbers}"
