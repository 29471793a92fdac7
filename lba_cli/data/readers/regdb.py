"""RegDB: ``Visible`` and ``Thermal`` / person / images, and ten splits as lists of images in ``idx``."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path

from lba_cli.data.readers.layout import Layout, name_of
from lba_cli.data.readers.lists import Entry, read_image_list, require_images, shortened
from lba_cli.data.readers.scan import unlisted_notes
from lba_cli.data.samples import Listing, Sample, in_order
from lba_cli.errors import DataError
from lba_cli.vocabulary import MODALITIES, PARTS, Modality, Part

TRIALS = range(1, 11)
FOLDERS: dict[Modality, str] = {"visible": "Visible", "infrared": "Thermal"}
CAMERAS: dict[Modality, int] = {"visible": 1, "infrared": 2}
Lists = dict[tuple[Part, Modality], list[Entry]]


def list_name(part: Part, modality: Modality, trial: int) -> str:
    """Where the images of one part and modality of a split are listed, relative to the root."""
    return f"idx/{part}_{FOLDERS[modality].lower()}_{trial}.txt"


LAYOUT = Layout(
    "regdb",
    "RegDB",
    "Visible, Thermal and idx/{train,test}_{visible,thermal}_{1…10}.txt",
    ("Thermal", "Visible"),
    tuple(FOLDERS.values()),
    tuple(list_name(part, modality, trial) for trial, part, modality in product(TRIALS, PARTS, MODALITIES)),
)


def read_regdb(root: Path) -> Listing:
    """List the images of RegDB's ten splits: a record for every line of the 40 lists.

    A sample's identity is the list's label: the same number is the same person in a split's visible and thermal list,
    and somebody else in its other part and in other splits. Camera 1 is the visible one, camera 2 the thermal one.

    Raises:
        DataError: a list or an image is missing, a list is malformed, or a split's lists contradict each other.
    """
    LAYOUT.require(root)
    samples: list[Sample] = []
    entries: list[Entry] = []
    for trial in TRIALS:
        lists: Lists = {
            (part, modality): read_image_list(root, list_name(part, modality, trial))
            for part, modality in product(PARTS, MODALITIES)
        }
        _check_split(lists)
        for (part, modality), listed in lists.items():
            samples += (Sample(e.path, e.label, CAMERAS[modality], modality, part, trial) for e in listed)
            entries += listed
    require_images(root, entries)
    notes = unlisted_notes(root, FOLDERS.values(), {entry.path for entry in entries})
    return Listing(name_of(root, LAYOUT.title), root, in_order(samples), None, tuple(notes), "regdb")


def _check_split(lists: Lists) -> None:
    """Refuse lists of a split in which labels or parts don't tell people apart."""
    for (_, modality), listed in lists.items():
        _check_paths(listed, modality)
    both = {part: [entry for modality in MODALITIES for entry in lists[part, modality]] for part in PARTS}
    _check_parts(both["train"], both["test"])
    for part in PARTS:
        _check_labels(both[part])
        _check_same_labels(*(lists[part, modality] for modality in MODALITIES))


def _check_paths(listed: list[Entry], modality: Modality) -> None:
    for entry in listed:
        parts = entry.path.split("/")
        if len(parts) != 3 or parts[0] != FOLDERS[modality]:
            raise DataError(f"{entry.place}: '{entry.path}' is not an image {FOLDERS[modality]}/PERSON/NAME")


def _check_labels(listed: list[Entry]) -> None:
    """Each label stands for one person, and each person has one label, in a part's visible and thermal list alike."""
    by_label: dict[int, Entry] = {}
    by_person: dict[str, Entry] = {}
    for entry in listed:
        same_label = by_label.setdefault(entry.label, entry)
        same_person = by_person.setdefault(_person(entry), entry)
        if _person(same_label) != _person(entry):
            raise DataError(
                f"{entry.place}: label {entry.label} is of person {_person(entry)} here, and of person "
                f"{_person(same_label)} in {same_label.short_place}"
            )
        if same_person.label != entry.label:
            raise DataError(
                f"{entry.place}: person {_person(entry)} has label {entry.label} here, and label {same_person.label} in "
                f"{same_person.short_place}"
            )


def _check_same_labels(visible: list[Entry], infrared: list[Entry]) -> None:
    labels = [{entry.label for entry in listed} for listed in (visible, infrared)]
    alone = list(_only_in(visible[0].source, labels[0] - labels[1])) + list(
        _only_in(infrared[0].source, labels[1] - labels[0])
    )
    if alone:
        raise DataError(
            f"{visible[0].source}: its labels and those of {infrared[0].source.name} must be the same people: {'; '.join(alone)}"
        )


def _only_in(source: Path, labels: set[int]) -> Iterator[str]:
    if labels:
        yield f"only in {source.name}: {shortened(sorted(labels))}"


def _check_parts(train: list[Entry], test: list[Entry]) -> None:
    """Nobody, and no image, is both trained on and tested with."""
    images = {entry.path: entry for entry in train}
    people = {_person(entry): entry for entry in reversed(train)}
    for entry in test:
        if entry.path in images:
            raise DataError(f"{entry.place}: {entry.path} is trained on too ({images[entry.path].short_place})")
        if _person(entry) in people:
            raise DataError(
                f"{entry.place}: person {_person(entry)} is trained on too ({people[_person(entry)].short_place}); "
                "train and test must not share people"
            )


def _person(entry: Entry) -> str:
    """The person's folder, which has the same number or name under ``Visible`` and ``Thermal``; 007 is 7."""
    folder = entry.path.split("/")[1]
    return str(int(folder)) if folder.isascii() and folder.isdecimal() else folder
