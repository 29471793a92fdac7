"""Whether a model has seen, in training, the people that it is to be scored on."""

from __future__ import annotations

from collections.abc import Iterable

from lba_cli.datasets import EvaluationSet
from lba_cli.errors import DataError
from lba_cli.evaluation.results import trial_words
from lba_cli.model.checkpoint import Description


def require_own_trial(description: Description, source: EvaluationSet) -> None:
    """Refuse to score a model on people that it was trained on.

    Raises:
        DataError: it was trained on another split, or another draw, of the same data set.
    """
    seen, own = _trained_on_tested(description, source)
    if seen:
        raise DataError(
            f"{seen}, which would inflate the figures. Score it {own}, or insist with --allow-other-trial, which lba evaluate "
            "and lba visualize report have"
        )


def inflation_note(scored: Iterable[tuple[Description, EvaluationSet]]) -> str:
    """What a reader of figures has to know where models were scored on people that they were trained on; else nothing."""
    trials = [source.trial for description, source in scored if _trained_on_tested(description, source)[0]]
    if not trials:
        return ""
    words = trial_words([trial for trial in trials if trial])
    return f"scored on people that the model was trained on{words and f' ({words})'}: figures are inflated"


def _trained_on_tested(description: Description, source: EvaluationSet) -> tuple[str, str]:
    """In words: which test people the model was trained on, and on what it should be scored; empty where on none."""
    if description.dataset != source.name:
        return "", ""
    if source.trial and description.trial not in (0, source.trial):
        seen = (
            f"the model was trained on trial {description.trial} of {source.name}, this is trial {source.trial}: its test "
            "people are among those that the model was trained on"
        )
        return seen, f"on its own trial (--set data.trial={description.trial})"
    tested = {sample.identity for sample in source.samples if sample.split == "test"}
    both = tested & set(description.identities)
    if both:
        seen = (
            f"{source.name}: {len(both)} of the {len(tested)} test people are among those that the model was trained on"
        )
        return seen, "with its own data.split_seed, data.test_share or lists of identities"
    return "", ""
