"""SYSU-MM01: ``cam1``…``cam6`` / 4-digit identity / images, and id lists in ``exp``."""

from __future__ import annotations

from pathlib import Path

from lba_cli.data.readers.layout import Layout, name_of
from lba_cli.data.readers.lists import read_identities, shortened
from lba_cli.data.readers.scan import Scan
from lba_cli.data.samples import Listing, in_order
from lba_cli.errors import DataError
from lba_cli.vocabulary import Modality, Part

MODALITY_OF_CAMERA: dict[int, Modality] = {
    1: "visible",
    2: "visible",
    3: "infrared",
    4: "visible",
    5: "visible",
    6: "infrared",
}
CAMERA_FOLDERS = tuple(f"cam{camera}" for camera in MODALITY_OF_CAMERA)
LAYOUT = Layout("sysu", "SYSU-MM01", "cam1…cam6 and exp", CAMERA_FOLDERS, (*CAMERA_FOLDERS, "exp"))
ID_LISTS: tuple[tuple[str, Part], ...] = (("train_id.txt", "train"), ("val_id.txt", "train"), ("test_id.txt", "test"))


def read_sysu(root: Path) -> Listing:
    """List the images of SYSU-MM01's train, val (both trained on) and test identities.

    Raises:
        DataError: the root isn't SYSU-MM01, or an id list is malformed.
    """
    LAYOUT.require(root)
    part_of = _read_id_lists(root / "exp")
    scan = Scan()
    cameras = MODALITY_OF_CAMERA.items()
    samples = in_order(
        sample
        for camera, modality in cameras
        for sample in scan.samples(root, f"cam{camera}", camera, modality, part_of)
    )
    if not samples:
        raise DataError(f"{root}: no image of any identity that exp/*.txt name under cam1…cam6")
    without = sorted(part_of.keys() - {sample.identity for sample in samples})
    permutations = root / "exp" / "rand_perm_cam.mat"
    notes = scan.notes()
    if without:
        notes.append(f"{len(without)} identities of the id lists have no images: {shortened(without)}")
    name = name_of(root, LAYOUT.title)
    return Listing(name, root, samples, permutations if permutations.is_file() else None, tuple(notes), "sysu")


def _read_id_lists(folder: Path) -> dict[int, Part]:
    part_of: dict[int, Part] = {}
    origin: dict[int, str] = {}
    for name, part in ID_LISTS:
        for line, identity in read_identities(folder / name, LAYOUT.title):
            if identity in part_of:
                raise DataError(f"{folder / name}:{line}: identity {identity} is already in {origin[identity]}")
            part_of[identity], origin[identity] = part, f"{name}:{line}"
    return part_of
