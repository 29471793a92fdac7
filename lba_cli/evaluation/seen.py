"""Whether a model has seen, in training, the people that it is to be scored on."""

from __future__ import annotations

from collections.abc import Iterable

from lba_cli.errors import DataError
from lba_cli.evaluation.protocols import ScoredSet
from lba_cli.evaluation.report import split_words
from lba_cli.model.checkpoint import Description


def require_own_split(description: Description, source: ScoredSet) -> None:
    """Refuse to score a model on people that it was trained on.

    Raises:
        DataError: it was trained on another split, or another draw, of the same data set.
    """
    seen, own = _trained_on_tested(description, source)
    if seen:
        raise DataError(
            f"{seen}, which would inflate the figures. Score it {own}, or insist with --allow-other-split, which lba evaluate "
            "and lba visualize report have"
        )


def inflation_note(scored: Iterable[tuple[Description, ScoredSet]]) -> str:
    """What a reader of figures has to know where models were scored on people that they were trained on; else nothing."""
    splits = [source.split for description, source in scored if _trained_on_tested(description, source)[0]]
    if not splits:
        return ""
    words = split_words([split for split in splits if split])
    return f"scored on people that the model was trained on{words and f' ({words})'}: figures are inflated"


def _trained_on_tested(description: Description, source: ScoredSet) -> tuple[str, str]:
    """In words: which test people the model was trained on, and on what it should be scored; empty where on none."""
    if description.dataset != source.name:
        return "", ""
    if source.split and description.split not in (0, source.split):
        seen = (
            f"the model was trained on split {description.split} of {source.name}, this is split {source.split}: its test "
            "people are among those that the model was trained on"
        )
        return seen, f"on its own split (--set data.trial={description.split})"
    tested = {sample.identity for sample in source.samples if sample.part == "test"}
    both = tested & set(description.identities)
    if source.dataset == "folder" and both:
        seen = (
            f"{source.name}: {len(both)} of the {len(tested)} test people are among those that the model was trained on"
        )
        return seen, "with its own data.split_seed, data.test_share or lists of identities"
    return "", ""
