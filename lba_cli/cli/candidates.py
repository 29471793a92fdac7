"""Models that are scored together, and what they must have in common."""

from collections.abc import Sequence
from dataclasses import dataclass

from lba_cli.cli.checkpoints import OpenedCheckpoint
from lba_cli.data.store import ImageSource
from lba_cli.errors import ConfigError, LbaError
from lba_cli.evaluation.results import trial_words
from lba_cli.evaluation.setting_choice import choose_settings
from lba_cli.evaluation.variants import choose_variants
from lba_cli.vocabulary import plural


@dataclass(frozen=True)
class Candidate:
    """A model to score. ``parts`` holds its checkpoint, or one per trial or seed, each with the images that it is scored on."""

    name: str
    parts: list[tuple[OpenedCheckpoint, ImageSource]]
    seeds: tuple[int, ...] = ()


def require_comparable(candidates: Sequence[Candidate]) -> None:
    """Refuse models that can't be compared.

    Raises:
        LbaError: some models are single runs and some are folders of seeds, or they would be scored on different images.
        ConfigError: the configurations of the models have different evaluation settings.
    """
    _require_same_seeds(candidates)
    _require_same_images(candidates)
    _require_same_settings(candidates)


def _require_same_images(candidates: Sequence[Candidate]) -> None:
    first = candidates[0]
    for other in candidates:
        references = first.parts[:1] * len(other.parts) if other.seeds else first.parts
        for (_, reference), (_, source) in zip(references, other.parts, strict=True):
            if (reference.fingerprint, reference.trial) != (source.fingerprint, source.trial):
                raise LbaError(
                    f"{other.name} would be scored on other images than {first.name}: {_difference(reference, source)}. "
                    "Select the same data set for all models with --data, and the same trial or split with --set data.KEY=VALUE"
                )


def _require_same_seeds(candidates: Sequence[Candidate]) -> None:
    """Refuse to compare folders of seeds with single runs, or folders without a common seed."""
    first = candidates[0]
    for other in candidates[1:]:
        if bool(first.seeds) != bool(other.seeds):
            several, one = (first, other) if first.seeds else (other, first)
            raise LbaError(
                f"{several.name} holds runs of {len(several.seeds)} seeds, but {one.name} is a single run, so their standard "
                "deviations don't mean the same: name only folders of seeds, or only single runs"
            )
        if first.seeds and not set(first.seeds) & set(other.seeds):
            seeds = [trial_words(each.seeds, "seed") for each in (first, other)]
            raise LbaError(
                f"{first.name} has {seeds[0]} and {other.name} has {seeds[1]}, so no difference can be taken seed by seed: "
                "train both with the same seeds"
            )


def _difference(reference: ImageSource, source: ImageSource) -> str:
    """Return text that says how the data set ``source`` differs from ``reference``."""
    sides = (source, reference)
    tested = [[sample for sample in each.samples if sample.split == "test"] for each in sides]
    people = [{sample.identity for sample in samples} for samples in tested]
    facts = [
        [f"{each.name} ({each.dataset})" for each in sides],
        [f"trial {each.trial}" for each in sides],
        [f"{len(each)} test {plural(len(each), 'identity', 'identities')}" for each in people],
        [f"{len(samples)} test {plural(len(samples), 'image')}" for samples in tested],
    ]
    for other, first in facts:
        if other != first:
            return f"{other} instead of {first}"
    if people[0] != people[1]:
        return f"different test identities ({len(people[0] - people[1])} of {len(people[0])})"
    return "the same test identities in other files, or with other training images"


def _require_same_settings(candidates: Sequence[Candidate]) -> None:
    """Raise a ConfigError if the configurations of the models have different evaluation settings."""
    first = candidates[0]
    for other in candidates[1:]:
        if _settings(other) != _settings(first):
            raise ConfigError(
                f"the configurations of {other.name} and {first.name} have different evaluation settings: set --mode, --shots "
                "and --protocol, and also --flip, --rerank, --features-from or evaluation.pairs if those differ"
            )


def _settings(candidate: Candidate) -> object:
    opened, source = candidate.parts[0]
    section = opened.config.evaluation
    return choose_settings(section, source), choose_variants(section, ()), section.pairs, section.pairs_seed
