"""The results of evaluating one or several models, and their JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from lba_cli.datasets import PublishedResult, get_dataset
from lba_cli.evaluation.correspondence_results import ModelCorrespondences
from lba_cli.evaluation.differences import Difference
from lba_cli.evaluation.result import Result


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

    def verified(self) -> list[Result]:
        """Return the results that have figures of verification."""
        return [result for result in self.results if result.verification]

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
