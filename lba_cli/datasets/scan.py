"""Find the images below a data set's folders, and count the files that are something else."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lba_cli.data.samples import NO_CAMERA, Sample
from lba_cli.errors import DataError
from lba_cli.vocabulary import Modality, Split

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp"})
_CAMERA = re.compile(r"_c([0-9]{1,9})(?![0-9])", re.IGNORECASE)


@dataclass
class Scan:
    """A walk over folders of images.

    Attributes:
        suffixes: the file endings of images, in lower case.
        strays: how many other files were passed over.
    """

    suffixes: frozenset[str] = IMAGE_SUFFIXES
    strays: int = field(default=0)

    def samples(
        self, root: Path, place: str, camera: int, modality: Modality, split_of: Mapping[int, Split]
    ) -> Iterator[Sample]:
        """Yield the images of identities in ``split_of`` under ``root / place``, one camera's folder of identity folders."""
        for folder in (root / place).iterdir():
            if not (folder.name.isascii() and folder.name.isdecimal() and folder.is_dir()):
                self.strays += 1
            elif split := split_of.get(int(folder.name)):
                for image in self.images(folder):
                    path = f"{place}/{folder.name}/{image}"
                    yield Sample(path, int(folder.name), camera, modality, split)

    def images(self, folder: Path) -> Iterator[str]:
        """Yield the names of the images directly in ``folder``.

        Raises:
            DataError: a name isn't UTF-8.
        """
        for file in folder.iterdir():
            if file.suffix.lower() in self.suffixes and not file.name.startswith(".") and file.is_file():
                require_text(file)
                yield file.name
            else:
                self.strays += 1

    def notes(self) -> list[str]:
        """A line about the strays, if there are any."""
        return [f"{self.strays} files that are not images of an identity were ignored"] if self.strays else []


def require_text(file: Path) -> None:
    """Refuse a file or folder whose name isn't text, because no list could hold it.

    Raises:
        DataError: it isn't UTF-8.
    """
    try:
        file.name.encode()
    except UnicodeEncodeError:
        raise DataError(f"{file.parent}: the file name {file.name!a} is not UTF-8; rename it") from None


def unlisted_notes(root: Path, folders: Iterable[str], listed: Collection[str]) -> list[str]:
    """A line about the files under ``folders`` that aren't among ``listed`` (paths relative to ``root``), if there are any."""
    count = 0
    for folder in folders:
        for place, _, files in os.walk(root / folder):
            inside = Path(place).relative_to(root).as_posix()
            count += sum(f"{inside}/{file}" not in listed for file in files)
    return [f"{count} files that are in no list were ignored"] if count else []


def camera_in_name(name: str) -> int:
    """The camera that a file name gives by ``_c`` and a number; ``NO_CAMERA`` if it gives none."""
    found = _CAMERA.search(name)
    return int(found[1]) if found else NO_CAMERA
