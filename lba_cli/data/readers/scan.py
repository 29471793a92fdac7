"""Walking over a data set's folders: which files are images, and which are strays."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lba_cli.data.samples import NO_CAMERA, Sample
from lba_cli.errors import DataError
from lba_cli.vocabulary import Modality, Part

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp"})
_CAMERA = re.compile(r"_c([0-9]{1,9})(?![0-9])", re.IGNORECASE)


@dataclass
class Scan:
    """A walk over camera folders that counts what it passes over."""

    suffixes: frozenset[str] = IMAGE_SUFFIXES
    strays: int = field(default=0)

    def samples(
        self, root: Path, place: str, camera: int, modality: Modality, part_of: Mapping[int, Part]
    ) -> Iterator[Sample]:
        """Yield the images of the wanted identities under ``root / place``, a camera's folder of identity folders."""
        for folder in (root / place).iterdir():
            if not (folder.name.isascii() and folder.name.isdecimal() and folder.is_dir()):
                self.strays += 1
            elif part := part_of.get(int(folder.name)):
                for image in self.images(folder):
                    path = f"{place}/{folder.name}/{image}"
                    yield Sample(path, int(folder.name), camera, modality, part)

    def images(self, folder: Path) -> Iterator[str]:
        """Yield the names of the images directly in ``folder``; raises DataError for one that isn't UTF-8."""
        for file in folder.iterdir():
            if file.suffix.lower() in self.suffixes and not file.name.startswith(".") and file.is_file():
                require_text(file)
                yield file.name
            else:
                self.strays += 1

    def notes(self) -> list[str]:
        """What a user should know of the strays."""
        return [f"{self.strays} files that are not images of an identity were ignored"] if self.strays else []


def require_text(file: Path) -> None:
    """Refuse the name of a file or folder that isn't text, which no list could hold.

    Raises:
        DataError: it isn't UTF-8.
    """
    try:
        file.name.encode()
    except UnicodeEncodeError:
        raise DataError(f"{file.parent}: the file name {file.name!a} is not UTF-8; rename it") from None


def unlisted_notes(root: Path, folders: Iterable[str], listed: Collection[str]) -> list[str]:
    """A note of how many files under ``folders`` are none of the ``listed`` images (paths relative to ``root``)."""
    count = 0
    for folder in folders:
        for place, _, files in os.walk(root / folder):
            inside = Path(place).relative_to(root).as_posix()
            count += sum(f"{inside}/{file}" not in listed for file in files)
    return [f"{count} files that no list names were ignored"] if count else []


def camera_in_name(name: str) -> int:
    """The camera that a file's name tells by ``_c`` and a number; ``NO_CAMERA`` where it doesn't."""
    found = _CAMERA.search(name)
    return int(found[1]) if found else NO_CAMERA
