"""Find the images in a data set's folders, and count what isn't an image of an identity, with the reason."""

import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lba_cli.data.image_files import image_suffixes
from lba_cli.data.image_listing import require_text
from lba_cli.data.samples import NO_CAMERA, Sample
from lba_cli.datasets.lists import shortened
from lba_cli.errors import printable
from lba_cli.vocabulary import Modality, Split

_CAMERA = re.compile(r"_c([0-9]{1,9})(?![0-9])", re.IGNORECASE)
_SYSTEM_FILES = {"thumbs.db", "ehthumbs.db", "desktop.ini"}  # beside those whose names begin with a dot


@dataclass
class Scan:
    """Finds images in folders by the endings of their names, and counts what it ignores. Links are followed.

    Attributes:
        strays: the number of files that are hidden, the system's own, or in no identity's folder.
        endings: the number of other files in identities' folders, by their endings.
        folders, links: folders that were not searched, and links that lead nowhere.
        unlisted: identities that have a folder, but are in no list.
    """

    strays: int = 0
    endings: Counter[str] = field(default_factory=Counter)
    folders: list[Path] = field(default_factory=list)
    links: list[Path] = field(default_factory=list)
    unlisted: set[int] = field(default_factory=set)

    def samples(
        self, root: Path, place: str, camera: int, modality: Modality, listed: Mapping[int, tuple[Split, str]]
    ) -> Iterator[Sample]:
        """Yield the images of one camera, whose folder ``root / place`` has one folder per identity.

        Identities that aren't in ``listed``, see :func:`~lba_cli.datasets.lists.read_split`, are left out.
        """
        for folder in (root / place).iterdir():
            if not (folder.name.isascii() and folder.name.isdecimal() and folder.is_dir()):
                self._ignore(folder, of_identity=False)
            elif int(folder.name) in listed:
                for image in self.images(folder):
                    path = f"{place}/{folder.name}/{image}"
                    yield Sample(path, int(folder.name), camera, modality, listed[int(folder.name)][0])
            else:
                self.unlisted.add(int(folder.name))

    def images(self, folder: Path) -> Iterator[str]:
        """Yield the names of the images directly in ``folder``; see :func:`require_text`."""
        for file in folder.iterdir():
            if file.suffix.lower() in image_suffixes() and not file.name.startswith(".") and file.is_file():
                require_text(file)
                yield file.name
            else:
                self._ignore(file, of_identity=True)

    def notes(self) -> list[str]:
        """Return a line for each reason why something was ignored, if anything was."""
        notes = [f"{self.strays} files that are not images of an identity were ignored"] if self.strays else []
        if self.endings:
            counts = [
                f"{count} end in {ending}" if ending else f"{count} have no ending"
                for ending, count in sorted(self.endings.items())
            ]
            notes.append(
                f"{self.endings.total()} files of formats that are not read were ignored: {printable(shortened(counts))}"
            )
        for paths, what in (
            (self.folders, "folders are not folders of an identity and were not searched"),
            (self.links, "links lead nowhere"),
        ):
            if paths:
                notes.append(f"{len(paths)} {what}: {printable(shortened(sorted(paths), 3))}")
        return notes

    def reasons(self) -> str:
        """Return the notes in brackets, for a message; empty if there are none."""
        notes = "; ".join(self.notes())
        return f" ({notes})" if notes else ""

    def _ignore(self, file: Path, *, of_identity: bool) -> None:
        if file.name.startswith(".") or file.name.lower() in _SYSTEM_FILES:
            self.strays += 1
        elif file.is_dir():
            self.folders.append(file)
        elif not file.exists():
            self.links.append(file)
        elif of_identity and file.suffix.lower() not in image_suffixes():
            self.endings[file.suffix.lower()] += 1
        else:
            self.strays += 1


def unlisted_notes(root: Path, folders: Iterable[str], listed: Collection[str]) -> list[str]:
    """Return a line about the files below ``folders`` that aren't in ``listed`` (paths relative to ``root``), if any.

    Links to folders are followed, but no folder is counted twice.
    """
    count = 0
    seen: set[str] = set()
    for folder in folders:
        for place, below, files in os.walk(root / folder, followlinks=True):
            real = os.path.realpath(place)
            if real in seen:
                below.clear()
                continue
            seen.add(real)
            inside = Path(place).relative_to(root).as_posix()
            count += sum(f"{inside}/{file}" not in listed for file in files)
    return [f"{count} files that are in no list were ignored"] if count else []


def camera_in_name(name: str) -> int:
    """Return the camera number after ``_c`` in a file name; ``NO_CAMERA`` if there is none."""
    found = _CAMERA.search(name)
    return int(found[1]) if found else NO_CAMERA
