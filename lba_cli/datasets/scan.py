"""Find the images in a data set's folders, and count the files that aren't images."""

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lba_cli.data.samples import NO_CAMERA, Sample
from lba_cli.errors import DataError
from lba_cli.vocabulary import Modality, Split

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp"})
_CAMERA = re.compile(r"_c([0-9]{1,9})(?![0-9])", re.IGNORECASE)


@dataclass
class Scan:
    """Finds images in folders by their file ``suffixes``, in lower case, and counts the files that it ignores in ``strays``."""

    suffixes: frozenset[str] = IMAGE_SUFFIXES
    strays: int = 0

    def samples(
        self, root: Path, place: str, camera: int, modality: Modality, listed: Mapping[int, tuple[Split, str]]
    ) -> Iterator[Sample]:
        """Yield the images of one camera, whose folder ``root / place`` has one folder per identity.

        Identities that aren't in ``listed``, see :func:`~lba_cli.datasets.lists.read_split`, are skipped.
        """
        for folder in (root / place).iterdir():
            if not (folder.name.isascii() and folder.name.isdecimal() and folder.is_dir()):
                self.strays += 1
            elif int(folder.name) in listed:
                for image in self.images(folder):
                    path = f"{place}/{folder.name}/{image}"
                    yield Sample(path, int(folder.name), camera, modality, listed[int(folder.name)][0])

    def images(self, folder: Path) -> Iterator[str]:
        """Yield the names of the images directly in ``folder``; see :func:`require_text`."""
        for file in folder.iterdir():
            if file.suffix.lower() in self.suffixes and not file.name.startswith(".") and file.is_file():
                require_text(file)
                yield file.name
            else:
                self.strays += 1

    def notes(self) -> list[str]:
        """Return a line about the ignored files, if there are any."""
        return [f"{self.strays} files that are not images of an identity were ignored"] if self.strays else []


def require_text(file: Path) -> None:
    """Raise a DataError if a file's name isn't valid UTF-8, because it couldn't be written to lists."""
    try:
        file.name.encode()
    except UnicodeEncodeError:
        raise DataError(f"{file.parent}: the file name {file.name!a} is not UTF-8; rename it") from None


def unlisted_notes(root: Path, folders: Iterable[str], listed: Collection[str]) -> list[str]:
    """Return a line about the files below ``folders`` that aren't in ``listed`` (paths relative to ``root``), if any."""
    count = 0
    for folder in folders:
        for place, _, files in os.walk(root / folder):
            inside = Path(place).relative_to(root).as_posix()
            count += sum(f"{inside}/{file}" not in listed for file in files)
    return [f"{count} files that are in no list were ignored"] if count else []


def camera_in_name(name: str) -> int:
    """Return the camera number after ``_c`` in a file name; ``NO_CAMERA`` if there is none."""
    found = _CAMERA.search(name)
    return int(found[1]) if found else NO_CAMERA
