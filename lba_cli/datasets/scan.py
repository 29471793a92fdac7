"""Find the images of identities in a data set's folders, and count the files that are ignored, by reason."""

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
from lba_cli.vocabulary import Modality, Split, plural

_CAMERA = re.compile(r"_c([0-9]{1,9})(?![0-9])", re.IGNORECASE)
_SYSTEM_FILES = {"thumbs.db", "ehthumbs.db", "desktop.ini"}  # in addition to files with names that begin with a dot


@dataclass
class Scan:
    """Finds images in folders by their endings, and counts the files that it ignores. Links are followed.

    Attributes:
        strays: the number of hidden files, files of the operating system, and files outside the identities' folders.
        endings: the number of other ignored files in the identities' folders, by ending.
        folders, links: folders that were not searched, and broken links.
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
        """Yield the samples of one camera. Its folder ``root / place`` contains a folder for each identity.

        Identities that aren't in ``listed``, the result of :func:`~lba_cli.datasets.lists.read_split`, are left out.
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
        """Yield the names of the images directly in ``folder``. Raises a DataError if a name isn't valid UTF-8."""
        for file in folder.iterdir():
            if file.suffix.lower() in image_suffixes() and not file.name.startswith(".") and file.is_file():
                require_text(file)
                yield file.name
            else:
                self._ignore(file, of_identity=True)

    def notes(self) -> list[str]:
        """Return a list of notes about the files and folders that were ignored, one for each reason."""
        notes = []
        if self.strays:
            one, many = "file that is not an image of an identity was", "files that are not images of an identity were"
            notes.append(f"{self.strays} {plural(self.strays, one, many)} ignored")
        if self.endings:
            counts = [
                f"{count} ending in {ending}" if ending else f"{count} without an ending"
                for ending, count in sorted(self.endings.items())
            ]
            total = self.endings.total()
            files = plural(total, "file of a format that is not read was", "files of formats that are not read were")
            notes.append(f"{total} {files} ignored: {printable(shortened(counts))}")
        if count := len(self.folders):
            words = plural(count, "folder is not the folder of an identity and was", "folders of no identity were")
            notes.append(f"{count} {words} not searched: {printable(shortened(sorted(self.folders), 3))}")
        if count := len(self.links):
            shown = printable(shortened(sorted(self.links), 3))
            notes.append(f"{count} broken {plural(count, 'link was', 'links were')} ignored: {shown}")
        return notes

    def reasons(self) -> str:
        """Return text with the notes in brackets, for a message; empty if there are no notes."""
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
    """Return a list with a note about the files below ``folders`` that aren't ``listed``; empty if all are listed.

    The paths in both are relative to ``root``. Links to folders are followed, but no folder is counted twice.
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
    words = plural(count, "file that is in no list was", "files that are in no list were")
    return [f"{count} {words} ignored"] if count else []


def camera_in_name(name: str) -> int:
    """Return the camera number after ``_c`` in a file name; ``NO_CAMERA`` if there is none."""
    found = _CAMERA.search(name)
    return int(found[1]) if found else NO_CAMERA
