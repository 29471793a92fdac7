"""What the protocol of a data set consists of, and the records that its evaluation is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

from lba_cli.data.samples import Sample
from lba_cli.match_rules import MatchRules, MatchRulesName
from lba_cli.vocabulary import Dataset, Draw, Modality, Mode, Shots

# The modalities of queries and gallery in each mode.
DIRECTIONS: dict[Mode, tuple[Modality, Modality]] = {
    "all-search": ("infrared", "visible"),
    "indoor-search": ("infrared", "visible"),
    "infrared-to-visible": ("infrared", "visible"),
    "visible-to-infrared": ("visible", "infrared"),
}


class ScoredSet(Protocol):
    """What an evaluation has to know of a data set; its images, or features made of them, come from elsewhere."""

    name: str
    dataset: Dataset
    split: int
    samples: tuple[Sample, ...]
    permutations: Path | None


@dataclass(frozen=True)
class Setting:
    """What is measured: who is query and gallery, the gallery's images per identity and camera, and who draws them."""

    mode: Mode
    shots: Shots
    protocol: Draw

    def gallery_words(self) -> str:
        """How much of the gallery a trial has: ``single-shot``, ``multi-shot`` or ``whole gallery``."""
        return "whole gallery" if self.shots == "whole" else f"{self.shots}-shot"


class Trial(NamedTuple):
    """Who is compared with whom: sample indices.

    Attributes:
        number: of the draw, from 0; of the split where the trials are splits.
        queries, gallery: indices of the samples, in the order that breaks ties.
    """

    number: int
    queries: list[int]
    gallery: list[int]


@dataclass(frozen=True)
class Trials:
    """All the trials of one setting."""

    setting: Setting
    each: tuple[Trial, ...]

    def samples(self) -> set[int]:
        """The indices of all the samples that take part."""
        return {index for trial in self.each for side in (trial.queries, trial.gallery) for index in side}


@dataclass(frozen=True)
class Benchmark:
    """The protocol of one data set.

    Attributes:
        name: as messages call it.
        modes: the protocols that draw for it, each with the modes it has, in the report's order.
        usual_modes: the modes that papers report; the first one chooses a run's best epoch.
        shots: the gallery sizes it has.
        usual_shots: which of them is usual for the samples of a copy.
        rules: what a query ignores and what CMC counts, see :class:`lba_cli.match_rules.MatchRules`.
        draw: the trials of a setting.
        needs_cameras: whether it can't be followed without each image's camera.
        notes: what a reader of a protocol's figures has to know.
    """

    name: str
    modes: Mapping[Draw, tuple[Mode, ...]]
    usual_modes: tuple[Mode, ...]
    shots: tuple[Shots, ...]
    usual_shots: Callable[[Sequence[Sample]], Shots]
    rules: MatchRulesName | MatchRules
    draw: Callable[[ScoredSet, Setting], tuple[Trial, ...]]
    needs_cameras: bool = False
    notes: Mapping[Draw, str] = field(default_factory=dict)
