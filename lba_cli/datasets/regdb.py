"""RegDB: images in ``Visible/PERSON`` and ``Thermal/PERSON``, and lists of the images of ten trials in ``idx``.

Nguyen et al., Person Recognition System Based on a Combination of Body Images from Visible Light and Thermal Cameras,
Sensors 2017. All test images of one modality query all test images of the other modality. Each trial has a model of its own.
Results are means over the ten trials.
"""

from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np

from lba_cli.data.samples import EvaluationSet, Listing, Sample, in_order
from lba_cli.datasets.galleries import whole_gallery
from lba_cli.datasets.layout import SIGNED_AGREEMENT, Layout, name_of
from lba_cli.datasets.lists import Entry, read_image_list, require_consistent_labels, require_images, shortened
from lba_cli.datasets.scan import unlisted_notes
from lba_cli.datasets.spec import BOTH_DIRECTIONS, DatasetOptions, DatasetSpec, Draw, PublishedResult, Setting
from lba_cli.errors import DataError
from lba_cli.match_rules import match_rules
from lba_cli.synthetic import Job, Plan, Preset
from lba_cli.synthetic.plan import size_of
from lba_cli.vocabulary import MODALITIES, SPLITS, Modality, Split

TRIALS = range(1, 11)
FOLDERS: dict[Modality, str] = {"visible": "Visible", "infrared": "Thermal"}
CAMERAS: dict[Modality, int] = {"visible": 1, "infrared": 2}
MODES = dict(reversed(BOTH_DIRECTIONS.items()))  # papers report visible-to-infrared first
Lists = dict[tuple[Split, Modality], list[Entry]]


def list_name(split: Split, modality: Modality, trial: int) -> str:
    """Return the path of the list of one split, modality and trial, relative to the root."""
    return f"idx/{split}_{FOLDERS[modality].lower()}_{trial}.txt"


LAYOUT = Layout(
    name="regdb",
    title="RegDB",
    described="Visible, Thermal and idx/{train,test}_{visible,thermal}_{1…10}.txt",
    signs=("Thermal", "Visible"),
    folders=tuple(FOLDERS.values()),
    lists=tuple(list_name(split, modality, trial) for trial, split, modality in product(TRIALS, SPLITS, MODALITIES)),
    source=SIGNED_AGREEMENT,
)


def read_regdb(root: Path, _: DatasetOptions | None = None) -> Listing:
    """List the images of RegDB's ten trials, one sample for every line of the 40 lists.

    A sample's identity is its label in the list. A label means the same person in the visible and the thermal list of one
    trial and split, but not in other lists. Camera 1 is the visible camera, camera 2 the thermal camera.

    Raises:
        DataError: a list or an image is missing, a list is malformed, or a trial's lists contradict each other.
    """
    LAYOUT.require(root)
    samples: list[Sample] = []
    entries: list[Entry] = []
    for trial in TRIALS:
        lists: Lists = {
            (split, modality): read_image_list(root, list_name(split, modality, trial))
            for split, modality in product(SPLITS, MODALITIES)
        }
        _check_trial(lists)
        for (split, modality), listed in lists.items():
            samples += (Sample(e.path, e.label, CAMERAS[modality], modality, split, trial) for e in listed)
            entries += listed
    require_images(root, entries)
    notes = unlisted_notes(root, FOLDERS.values(), {entry.path for entry in entries})
    return Listing(name_of(root, LAYOUT.title), LAYOUT.name, root, in_order(samples), None, tuple(notes))


def _check_trial(lists: Lists) -> None:
    """Raise a DataError if the lists of one trial contradict each other."""
    for (_, modality), listed in lists.items():
        for entry in listed:
            parts = entry.path.split("/")
            if len(parts) != 3 or parts[0] != FOLDERS[modality]:
                raise DataError(f"{entry.place}: '{entry.path}' is not an image {FOLDERS[modality]}/PERSON/NAME")
    both = {split: [entry for modality in MODALITIES for entry in lists[split, modality]] for split in SPLITS}
    _check_splits(both["train"], both["test"])
    for split in SPLITS:
        require_consistent_labels(both[split], _person, "person")
        _check_same_labels(*(lists[split, modality] for modality in MODALITIES))


def _check_same_labels(visible: list[Entry], infrared: list[Entry]) -> None:
    sides = {listed[0].source: {entry.label for entry in listed} for listed in (visible, infrared)}
    shared = set.intersection(*sides.values())
    unmatched = [
        f"only in {source.name}: {shortened(sorted(labels - shared))}"
        for source, labels in sides.items()
        if labels - shared
    ]
    if unmatched:
        first, second = sides
        raise DataError(f"{first}: should have the same labels as {second.name}: {'; '.join(unmatched)}")


def _check_splits(train: list[Entry], test: list[Entry]) -> None:
    """Raise a DataError if a person or an image is in both splits."""
    images = {entry.path: entry for entry in train}
    people = {_person(entry): entry for entry in reversed(train)}
    for entry in test:
        if entry.path in images:
            raise DataError(
                f"{entry.place}: {entry.path} is a training image as well ({images[entry.path].short_place})"
            )
        person = _person(entry)
        if person in people:
            raise DataError(
                f"{entry.place}: person {person} is in the training split as well ({people[person].short_place}); "
                "the splits must not share people"
            )


def _person(entry: Entry) -> str:
    """Return the person in an image: the name of its folder without leading zeros. Both modalities use the same names."""
    folder = entry.path.split("/")[1]
    return str(int(folder)) if folder.isascii() and folder.isdecimal() else folder


def _draw(source: EvaluationSet, setting: Setting) -> tuple[Draw, ...]:
    return whole_gallery(source.samples, MODES[setting.mode], source.trial)


_FIRST_PERSON = 1_000_000  # layouts never share a synthetic person
_PEOPLE = {"tiny": 24, "small": 96}
_INDICES = range(1, 11)  # of a person's images in one modality
_LOOKS: dict[Modality, int] = {"visible": 4, "infrared": 6}  # both outdoors


def _plan(preset: Preset, seed: int) -> Plan:
    """Plan synthetic people in RegDB's layout: ten images of each in each modality, and ten trials, each with half of the people to train on."""
    people = range(1, size_of(_PEOPLE, preset, LAYOUT.name) + 1)
    jobs = tuple(
        Job(seed, _FIRST_PERSON + person, _LOOKS[modality], index, _path(modality, person, index))
        for person, modality, index in product(people, MODALITIES, _INDICES)
    )
    lists = {}
    for trial in TRIALS:
        order = np.random.default_rng((seed, 9_000_001, trial)).permutation(people).tolist()
        halves: dict[Split, list[int]] = {"train": order[: len(order) // 2], "test": order[len(order) // 2 :]}
        for split, modality in product(SPLITS, MODALITIES):
            lists[list_name(split, modality, trial)] = _list(sorted(halves[split]), modality)
    return Plan(jobs, lists)


def _path(modality: Modality, person: int, index: int) -> str:
    return f"{FOLDERS[modality]}/{person}/walk_{FOLDERS[modality][0].lower()}_{index:05d}_{person}.bmp"


def _list(people: Sequence[int], modality: Modality) -> bytes:
    """Return the content of a list: a line for each image, with its path and the label of the person, from 0."""
    numbered = product(enumerate(people), _INDICES)
    lines = [f"{_path(modality, person, index)} {label}\n" for (label, person), index in numbered]
    return "".join(lines).encode()


_VISIBLE_TO_INFRARED = Setting("visible-to-infrared", "whole", "community")
REGDB = DatasetSpec(
    layout=LAYOUT,
    read=read_regdb,
    default_root="datasets/RegDB",
    trials=TRIALS,
    modes=MODES,
    usual_modes=tuple(MODES),
    shots=("whole",),
    usual_shots=lambda _: "whole",
    protocols={"community": tuple(MODES)},
    match_rules=match_rules("regdb"),
    draw=_draw,
    published=(
        PublishedResult("AGW", _VISIBLE_TO_INFRARED, {"rank1": 0.7005, "mAP": 0.6637, "mINP": 0.5019}),
        PublishedResult(
            "CAJ, with mirror images", _VISIBLE_TO_INFRARED, {"rank1": 0.8503, "mAP": 0.7914, "mINP": 0.6533}
        ),
    ),
    synthetic=_plan,
    prepare_help="Resize RegDB (Visible, Thermal and idx) once into a store that serves all ten trials.\n\n"
    "Training and evaluation use one trial, which --set data.trial=1 to 10 selects.",
    prepare_examples=("lba prepare regdb", "lba prepare regdb --root /data/RegDB --output /fast/regdb --skip-broken"),
)
