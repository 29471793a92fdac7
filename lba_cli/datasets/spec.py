"""The description of a data set, :class:`DatasetSpec`. Each data set has one, in a file of its own."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from lba_cli.data.samples import EvaluationSet, Listing, Sample
from lba_cli.datasets.layout import Layout
from lba_cli.match_rules import MatchRules
from lba_cli.synthetic.plan import Plan
from lba_cli.synthetic.presets import Preset
from lba_cli.vocabulary import Modality, Shots


class Direction(NamedTuple):
    """The modalities of the queries and of the gallery."""

    query: Modality
    gallery: Modality


INFRARED_TO_VISIBLE = Direction("infrared", "visible")
VISIBLE_TO_INFRARED = Direction("visible", "infrared")
# The modes of data sets that are searched in both directions.
BOTH_DIRECTIONS = {"infrared-to-visible": INFRARED_TO_VISIBLE, "visible-to-infrared": VISIBLE_TO_INFRARED}


@dataclass(frozen=True)
class Setting:
    """An evaluation scenario.

    Attributes:
        mode: which queries search which gallery, such as ``all-search`` or ``visible-to-infrared``.
        shots: how many gallery images each identity has under each camera: ``single`` (1), ``multi`` (10) or ``whole``.
        protocol: how galleries are drawn: ``community`` (as the papers of the field do), or a data set's own way.
    """

    mode: str
    shots: Shots
    protocol: str

    @property
    def gallery_words(self) -> str:
        """The number of gallery images in words: ``single-shot``, ``multi-shot`` or ``whole gallery``."""
        return "whole gallery" if self.shots == "whole" else f"{self.shots}-shot"

    def __str__(self) -> str:
        """Return the mode and the gallery, as tables and charts show them."""
        return f"{self.mode}, {self.gallery_words}"


class Draw(NamedTuple):
    """One random gallery and the queries that search it.

    Attributes:
        number: the draw's number, from 0; for a data set of several trials, the trial's number.
        queries, gallery: sample indices; the gallery's order breaks ties in distance.
    """

    number: int
    queries: list[int]
    gallery: list[int]


class DatasetOptions(BaseModel):
    """Config keys of the section ``data`` that only one data set has; subclasses add fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def locate_images(self) -> bool:
        """Return whether these options say where the images below a root are, so that its folders need not be recognised."""
        return False


class SplitAdvice(NamedTuple):
    """Parts of messages that say how a user can change a split.

    Attributes:
        train_on_more: how to move people from the test split to the training split.
        test_others: how to get another test split.
    """

    train_on_more: str
    test_others: str


class PublishedResult(NamedTuple):
    """One row of a published table. ``figures`` holds the published metrics, by name, as fractions."""

    label: str
    setting: Setting
    figures: Mapping[str, float]


class Shortfall(NamedTuple):
    """The difference between a copy and the complete data set for one camera.

    Attributes:
        camera: the camera's number.
        expected, found: the numbers of images in the complete data set and in the copy.
        identities: the identities with other numbers of images than in the complete data set.
    """

    camera: int
    expected: int
    found: int
    identities: tuple[int, ...]


@dataclass(frozen=True, eq=False)  # one object per data set, compared by identity
class DatasetSpec:
    """Everything specific to one data set. No code outside the data set's own file compares its name.

    Attributes:
        layout: the data set's name, what its folder contains, and how to get it.
        read: lists the images below a folder; takes the folder and the data set's own options.
        modes: the modes of evaluation and their directions, in the order of reports.
        draw: draws queries and galleries for a setting.
        shots, usual_shots: the gallery sizes that evaluation can use, and a function that returns the usual size for samples.
        match_rules: the gallery images that a query ignores, and what CMC counts.
        protocols: the protocols, and the modes that each protocol has.
        usual_modes: the modes that papers report. The mAP of the first mode selects a run's best epoch.
        options: the data set's own config keys, with their defaults.
        default_root: the data set's usual folder, which commands use if no folder is named.
        trials: the numbers of the trials, if the data set is split several times; each trial has a model of its own.
        split_is_drawn: whether the user chooses the training identities, so that checkpoints must record them.
        split_advice: how a drawn split can be changed; None to name the data set's own config keys.
        needs_cameras: whether evaluation needs the camera of every test image.
        sample_notes: returns a list of notes for users of the given samples, such as a note about unknown cameras.
        check_sample: returns text that says what is wrong with a sample of a feature file; empty if it is valid.
        shortfalls: compares a copy with the complete data set, camera by camera.
        protocol_notes: a note for readers of a protocol's figures, by protocol.
        published: results that the authors of the methods published.
        synthetic: plans synthetic people in this layout, for a preset and a seed; None if the layout has no synthetic people.
        prepare_help, prepare_examples: the help text of ``lba prepare NAME``, and command lines shown below it.
    """

    layout: Layout
    read: Callable[[Path, Any], Listing]
    modes: Mapping[str, Direction]
    draw: Callable[[EvaluationSet, Setting], tuple[Draw, ...]]
    shots: tuple[Shots, ...]
    usual_shots: Callable[[Sequence[Sample]], Shots]
    match_rules: MatchRules
    protocols: Mapping[str, tuple[str, ...]]
    usual_modes: tuple[str, ...]
    options: type[DatasetOptions] = DatasetOptions
    default_root: str = ""
    trials: range = range(0)
    split_is_drawn: bool = False
    split_advice: SplitAdvice | None = None
    needs_cameras: bool = False
    sample_notes: Callable[[Sequence[Sample]], Sequence[str]] = lambda _: ()
    check_sample: Callable[[Sample], str] = lambda _: ""
    shortfalls: Callable[[Listing], list[Shortfall]] = lambda _: []
    protocol_notes: Mapping[str, str] = field(default_factory=dict)
    published: tuple[PublishedResult, ...] = ()
    synthetic: Callable[[Preset, int], Plan] | None = None
    prepare_help: str = ""
    prepare_examples: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The data set's name on the command line and in configs."""
        return self.layout.name

    @property
    def title(self) -> str:
        """The data set's name in messages and reports."""
        return self.layout.title

    @property
    def keys(self) -> str:
        """The config keys that only this data set has, as text; empty if there are none."""
        return ", ".join(f"data.{key}" for key in self.options.model_fields)

    def advice(self) -> SplitAdvice:
        """Return how the user can change the split, for a data set with a drawn split."""
        change = f"change the split{self.keys and f' ({self.keys})'}"
        return self.split_advice or SplitAdvice(change, change)

    @property
    def selection_mode(self) -> str:
        """The mode whose mAP selects a run's best epoch."""
        return self.usual_modes[0]
