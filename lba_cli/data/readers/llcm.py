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
_CAMERA_FOLDER = re.compile(r"cam([0-9]{1,9})")


def read_llcm(root: Path) -> Listing:
    """List LLCM's training images (identities are the lists' labels) and test images (identities are the folders').

    Raises:
        DataError: a list, a folder or an image is missing, a list is malformed, or train and test share people.
    """
    LAYOUT.require(root)
    lists = {modality: read_image_list(root, name) for modality, name in TRAIN_LISTS.items()}
    tested = _read_test_identities(root / TEST_LIST)
    entries = [entry for modality in MODALITIES for entry in lists[modality]]
    _check_modalities(lists)
    _check_parts(entries, tested)
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
    notes = [*scan.notes(), *unlisted_notes(root, _train_folders(entries), {entry.path for entry in entries})]
    if without := sorted(tested - {sample.identity for sample in test}):
        notes.append(f"{len(without)} identities of {TEST_LIST} have no images: {shortened(without)}")
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
    visible = {entry.path: entry for entry in lists["visible"]}
    for entry in lists["infrared"]:
        if entry.path in visible:
            raise DataError(f"{entry.place}: {entry.path} is visible in {visible[entry.path].short_place}")


def _check_parts(entries: list[Entry], tested: set[int]) -> None:
    """Nobody is both trained on and tested with, where training images lie in folders named after identities."""
    for entry in entries:
        folder = PurePosixPath(entry.path).parent.name
        if folder.isascii() and folder.isdecimal() and int(folder) in tested:
            raise DataError(
                f"{entry.place}: {entry.path} is of identity {int(folder)}, which {TEST_LIST} has too; "
                "train and test must not share people"
            )


def _train_folders(entries: list[Entry]) -> Iterator[str]:
    """The folders in the root that training images lie in."""
    yield from sorted({entry.path.split("/")[0] for entry in entries if "/" in entry.path} - {*TEST_FOLDERS.values()})
