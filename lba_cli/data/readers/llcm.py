"""LLCM: training images as lists in ``idx``, test images as ``test_vis`` and ``test_nir`` / camera / identity."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from lba_cli.data.readers.layout import Layout, name_of
from lba_cli.data.readers.lists import Entry, read_identities, read_image_list, require_images, shortened
from lba_cli.data.readers.scan import Scan, camera_in_name, unlisted_notes
from lba_cli.data.samples import Listing, Sample, in_order
from lba_cli.errors import DataError
from lba_cli.vocabulary import MODALITIES, Modality, Part

TRAIN_LISTS: dict[Modality, str] = {"visible": "idx/train_vis.txt", "infrared": "idx/train_nir.txt"}
TEST_LIST = "idx/test_id.txt"
TEST_FOLDERS: dict[Modality, str] = {"visible": "test_vis", "infrared": "test_nir"}
CAMERAS: dict[Modality, tuple[int, ...]] = {"visible": tuple(range(1, 10)), "infrared": (1, 2, 4, 5, 6, 7, 8, 9)}
CAMERA_FOLDERS = {
    f"{TEST_FOLDERS[modality]}/cam{camera}": (camera, modality)
    for modality in MODALITIES
    for camera in CAMERAS[modality]
}
LAYOUT = Layout(
    "llcm",
    "LLCM",
    "idx/{train_vis,train_nir,test_id}.txt, test_vis/cam{1…9} and test_nir/cam{1,2,4…9}",
    tuple(TEST_FOLDERS.values()),
    tuple(CAMERA_FOLDERS),
    (*TRAIN_LISTS.values(), TEST_LIST),
)
_MODALITY_WORD = re.compile(r"(?<![a-z])(vis|nir)")
_MODALITY_OF_WORD: dict[str, Modality] = {"vis": "visible", "nir": "infrared"}
_CAMERA_FOLDER = re.compile(r"cam([0-9]{1,9})")


def read_llcm(root: Path) -> Listing:
    """List LLCM's training images (identities are the lists' labels) and test images (identities are the folders').

    Raises:
        DataError: a list, a folder or an image is missing, a list is malformed, lists contradict each other, or an
            image is trained on and tested with.
    """
    LAYOUT.require(root)
    lists = {modality: read_image_list(root, name) for modality, name in TRAIN_LISTS.items()}
    tested = _read_test_identities(root / TEST_LIST)
    entries = [entry for modality in MODALITIES for entry in lists[modality]]
    _check_modalities(lists)
    _check_labels(entries)
    require_images(root, entries)
    scan = Scan()
    part_of: dict[int, Part] = dict.fromkeys(tested, "test")
    samples = [
        Sample(entry.path, entry.label, camera_of(entry.path), modality, "train")
        for modality in MODALITIES
        for entry in lists[modality]
    ]
    test = [s for place, camera in CAMERA_FOLDERS.items() for s in scan.samples(root, place, *camera, part_of)]
    if not test:
        raise DataError(f"{root}: no image of any identity that {TEST_LIST} names under test_vis and test_nir")
    _check_parts(entries, test)
    unlisted = unlisted_notes(root, _train_folders(entries), {entry.path for entry in entries})
    notes = [*scan.notes(), *unlisted, *_notes(lists, tested, test)]
    return Listing(name_of(root, LAYOUT.title), root, in_order([*samples, *test]), None, tuple(notes), "llcm")


def camera_of(path: str) -> int:
    """The camera of a training image, from a folder ``cam3`` or ``_c3`` in the file's name; or ``NO_CAMERA``."""
    *folders, name = path.split("/")
    numbers = [int(found[1]) for folder in folders if (found := _CAMERA_FOLDER.fullmatch(folder))]
    return numbers[-1] if numbers else camera_in_name(name)


def _read_test_identities(path: Path) -> set[int]:
    line_of: dict[int, int] = {}
    for line, identity in read_identities(path, LAYOUT.title):
        if identity in line_of:
            raise DataError(f"{path}:{line}: identity {identity} is already in {path.name}:{line_of[identity]}")
        line_of[identity] = line
    return set(line_of)


def _check_modalities(lists: dict[Modality, list[Entry]]) -> None:
    """No image is of both modalities, or lies in a folder that is named after the other one."""
    visible = {entry.path: entry for entry in lists["visible"]}
    for entry in lists["infrared"]:
        if entry.path in visible:
            raise DataError(f"{entry.place}: {entry.path} is visible in {visible[entry.path].short_place}")
    for modality, listed in lists.items():
        for entry in listed:
            named = _MODALITY_WORD.findall(entry.path.rpartition("/")[0].lower())
            if named and all(_MODALITY_OF_WORD[word] != modality for word in named):
                raise DataError(
                    f"{entry.place}: {entry.path} lies in a folder of {_MODALITY_OF_WORD[named[0]]} images, this list is of "
                    f"{modality} ones; are {' and '.join(TRAIN_LISTS.values())} swapped?"
                )


def _check_labels(entries: list[Entry]) -> None:
    """Each label stands for one identity's folder, and each folder for one label, where images lie in such folders."""
    by_label: dict[int, tuple[int, Entry]] = {}
    by_folder: dict[int, Entry] = {}
    for entry in entries:
        folder = _identity_folder(entry)
        if folder is None:
            continue
        other, same_label = by_label.setdefault(entry.label, (folder, entry))
        same_folder = by_folder.setdefault(folder, entry)
        if other != folder:
            raise DataError(
                f"{entry.place}: label {entry.label} is of identity {folder} here, and of identity {other} in "
                f"{same_label.short_place}"
            )
        if same_folder.label != entry.label:
            raise DataError(
                f"{entry.place}: identity {folder} has label {entry.label} here, and label {same_folder.label} in "
                f"{same_folder.short_place}"
            )


def _check_parts(entries: list[Entry], test: list[Sample]) -> None:
    """No image is both trained on and tested with."""
    tested = {sample.path for sample in test}
    for entry in entries:
        if entry.path in tested:
            raise DataError(f"{entry.place}: {entry.path} is tested with too: {TEST_LIST} names its identity")


def _notes(lists: dict[Modality, list[Entry]], tested: set[int], test: list[Sample]) -> Iterator[str]:
    """What isn't known to be wrong, but may be."""
    visible, infrared = ({entry.label for entry in lists[modality]} for modality in MODALITIES)
    if alone := sorted(visible ^ infrared):
        yield (
            f"{len(alone)} labels are in one of {' and '.join(TRAIN_LISTS.values())} only, training needs "
            f"data.skip_incomplete=true: {shortened(alone)}"
        )
    if both := sorted(tested & {_identity_folder(entry) for modality in MODALITIES for entry in lists[modality]}):
        yield (
            f"{len(both)} folders of training images have the numbers of test identities; if those are the same people, "
            f"the figures are inflated: {shortened(both)}"
        )
    if without := sorted(tested - {sample.identity for sample in test}):
        yield f"{len(without)} identities of {TEST_LIST} have no images: {shortened(without)}"
    for modality in MODALITIES:
        if not any(sample.modality == modality for sample in test):
            yield f"{TEST_FOLDERS[modality]} has no image of a test identity: nothing can be evaluated"


def _identity_folder(entry: Entry) -> int | None:
    """The number of the folder that an image lies in; None where its name isn't one."""
    folder = PurePosixPath(entry.path).parent.name
    return int(folder) if folder.isascii() and folder.isdecimal() else None


def _train_folders(entries: list[Entry]) -> Iterator[str]:
    """The folders in the root that training images lie in."""
    yield from sorted({entry.path.split("/")[0] for entry in entries if "/" in entry.path} - {*TEST_FOLDERS.values()})
