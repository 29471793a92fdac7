"""Refuse to score a model on people that it has seen in training, or say that it was."""

from collections.abc import Iterable

from lba_cli.datasets import EvaluationSet
from lba_cli.errors import DataError
from lba_cli.evaluation.results import ScoredModel, trial_words
from lba_cli.model.checkpoint import Description


def require_own_trial(description: Description, source: EvaluationSet) -> None:
    """Raise a DataError if the model was trained on another trial of the same data set, or on another split of the folder."""
    overlap, remedy = _overlap(description, source)
    if overlap:
        raise DataError(
            f"{overlap}, which would inflate the figures. Score it {remedy}, or allow it with --allow-other-trial (in "
            "lba evaluate and lba visualize report)"
        )


def inflation_note(scored: Iterable[tuple[Description, EvaluationSet]]) -> str:
    """Return a note for the reader of figures if a model was scored on people that it was trained on; otherwise nothing."""
    trials = [source.trial for description, source in scored if _overlap(description, source)[0]]
    if not trials:
        return ""
    words = trial_words([trial for trial in trials if trial])
    return f"scored on people that the model was trained on{words and f' ({words})'}: figures are inflated"


def selected_on(description: Description, source: EvaluationSet) -> str:
    """Return the split of ``source`` by whose mAP the model's epoch was chosen, such as ``test``; empty if it wasn't."""
    return description.selected_on if description.dataset == source.name else ""


def selection_note(model: ScoredModel) -> str:
    """Return a note for the reader of figures if the model's epoch was chosen by its mAP on the people it was scored on."""
    if model.selected_on != "test":
        return ""
    return f"{model.name}: this epoch was chosen by its mAP on these test people, which flatters its figures"


def _overlap(description: Description, source: EvaluationSet) -> tuple[str, str]:
    """Say which test people the model was trained on, and on what to score it instead; both are empty if there are none."""
    if description.dataset != source.name:
        return "", ""
    if source.trial and description.trial not in (0, source.trial):
        trials = f"the model was trained on trial {description.trial} of {source.name}, this is trial {source.trial}"
        seen = f"{trials}: some of its test people are among those that the model was trained on"
        return seen, f"on its own trial (--set data.trial={description.trial})"
    tested = {sample.identity for sample in source.samples if sample.split == "test"}
    both = tested & set(description.identities)
    if both:
        people = f"{len(both)} of the {len(tested)} test people"
        seen = f"{source.name}: {people} are among those that the model was trained on"
        return seen, "with its own data.split_seed, data.test_share or lists of identities"
    return "", ""
