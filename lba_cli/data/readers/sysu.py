"""SYSU-MM01: ``cam1``…``cam6`` / 4-digit identity / images, and id lists in ``exp``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lba_cli.data.samples import Listing, Sample
from lba_cli.errors import DataError
from lba_cli.files import read_text
from lba_cli.vocabulary import Modality, Part

NAME = "SYSU-MM01"
MODALITY_OF_CAMERA: dict[int, Modality] = {
    1: "visible",
    2: "visible",
    3: "infrared",
    4: "visible",
    5: "visible",
    6: "infrared",
}
ID_LISTS: tuple[tuple[str, Part], ...] = (("train_id.txt", "train"), ("val_id.txt", "train"), ("test_id.txt", "test"))
IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp"}
SYNTHETIC_MARK = "synthetic.json"
HOW_TO_GET = (
    "SYSU-MM01 is given out by its authors on a signed agreement (see the README); "
    "to try without it: lba prepare synthetic --output"
)


def read_sysu(root: Path) -> Listing:
    """List the images of SYSU-MM01's train, val (both trained on) and test identities.

    Raises:
        DataError: the root isn't SYSU-MM01, or an id list is malformed.
    """
    _require_layout(root)
    part_of = _read_id_lists(root / "exp")
    scan = _Scan()
    samples = sorted(scan.samples(root, part_of), key=lambda s: (s.part != "train", s.identity, s.camera, s.path))
    if not samples:
        raise DataError(f"{root}: no image of any identity that exp/*.txt name under cam1…cam6")
    without = sorted(part_of.keys() - {sample.identity for sample in samples})
    permutations = root / "exp" / "rand_perm_cam.mat"
    notes = [f"{scan.strays} files that are not images of an identity were ignored"] if scan.strays else []
    if without:
        notes.append(f"{len(without)} identities of the id lists have no images: {_numbers(without)}")
    return Listing(_name(root), root, tuple(samples), permutations if permutations.is_file() else None, tuple(notes))


@dataclass
class _Scan:
    """A walk over the camera folders that counts what it passes over."""

    strays: int = field(default=0)

    def samples(self, root: Path, part_of: dict[int, Part]) -> Iterator[Sample]:
        for camera, modality in MODALITY_OF_CAMERA.items():
            for folder in (root / f"cam{camera}").iterdir():
                if not (folder.name.isdecimal() and folder.is_dir()):
                    self.strays += 1
                elif part := part_of.get(int(folder.name)):
                    for image in self._images(folder):
                        path = f"cam{camera}/{folder.name}/{image}"
                        yield Sample(path, int(folder.name), camera, modality, part)

    def _images(self, folder: Path) -> Iterator[str]:
        for file in folder.iterdir():
            if file.suffix.lower() in IMAGE_SUFFIXES and not file.name.startswith("."):
                yield file.name
            else:
                self.strays += 1


def _require_layout(root: Path) -> None:
    remedy = f"{HOW_TO_GET} {root}"
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; looked for SYSU-MM01's cam1…cam6 and exp there. {remedy}")
    missing = [
        name for name in (*(f"cam{camera}" for camera in MODALITY_OF_CAMERA), "exp") if not (root / name).is_dir()
    ]
    if missing:
        raise DataError(f"{root}: not SYSU-MM01: it has no {', '.join(missing)}. {HOW_TO_GET} another folder")


def _read_id_lists(folder: Path) -> dict[int, Part]:
    part_of: dict[int, Part] = {}
    origin: dict[int, str] = {}
    for name, part in ID_LISTS:
        for line, identity in _read_ids(folder / name):
            if identity in part_of:
                raise DataError(f"{folder / name}:{line}: identity {identity} is already in {origin[identity]}")
            part_of[identity], origin[identity] = part, f"{name}:{line}"
    return part_of


def _read_ids(path: Path) -> Iterator[tuple[int, int]]:
    """Yield (line number, identity) from a file of comma-separated identities."""
    try:
        text = read_text(path)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; SYSU-MM01 has its lists of identities there") from None
    except OSError as problem:
        raise DataError(f"{path}: {problem.strerror}") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: not a text file") from None
    if not text.strip():
        raise DataError(f"{path}:1: empty; expected comma-separated identities such as 1,2,4")
    for number, line in enumerate(text.rstrip().splitlines(), start=1):
        for word in line.rstrip(", \t").split(","):
            if not (
                word.strip().isascii() and word.strip().isdecimal() and len(word.strip()) < 9 and 0 < int(word) < 10_000
            ):
                raise DataError(
                    f"{path}:{number}: '{word.strip()[:40]}' is not an identity (1 to 9999, comma-separated)"
                )
            yield number, int(word)


def _name(root: Path) -> str:
    """Synthetic data say so in every report."""
    mark = root / SYNTHETIC_MARK
    if not mark.is_file():
        return NAME
    try:
        preset = json.loads(read_text(mark))["preset"]
        if not re.fullmatch("[a-z]{1,20}", preset):
            raise ValueError
        return f"synthetic-{preset}"
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise DataError(f"{mark}: damaged; it should say how the synthetic data were drawn") from None


def _numbers(identities: list[int], most: int = 20) -> str:
    shown = ", ".join(str(identity) for identity in identities[:most])
    return shown + (f" and {len(identities) - most} more" if len(identities) > most else "")
