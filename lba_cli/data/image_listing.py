"""List the images below folders, and count the files that are passed over, by reason."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from lba_cli.data.image_files import image_suffixes
from lba_cli.errors import DataError, printable
from lba_cli.vocabulary import plural

MOST_REASONS = 5  # in one note; files with other reasons are counted together
LONGEST_ENDING = 12  # characters; longer text after a dot is part of the name, not an ending


@dataclass
class FoundImages:
    """Images, and the files and folders that were passed over.

    Attributes:
        paths: the paths of the images.
        passed_over: the number of other files by reason, such as ``ending in .heic``.
        unfollowed: folders that were not entered, because their images are listed under another path.
    """

    paths: list[str] = field(default_factory=list)
    passed_over: Counter[str] = field(default_factory=Counter)
    unfollowed: set[str] = field(default_factory=set)

    def take(self, files: Iterable[Path]) -> None:
        """Add the ``files`` that have the ending of an image and aren't hidden, and count all other files by reason.

        Raises:
            DataError: the path of an image isn't valid UTF-8.
        """
        for file in files:
            if reason := _reason_to_pass(file):
                self.passed_over[reason] += 1
            else:
                self.paths.append(encodable(file))

    def files_below(self, root: Path) -> Iterator[Path]:
        """Yield every file in ``root`` and below, except in hidden folders; see :meth:`folders_below`."""
        for place, files in self.folders_below(root):
            yield from (place / name for name in files)

    def folders_below(self, root: Path, *, hidden: bool = False) -> Iterator[tuple[Path, list[str]]]:
        """Yield ``root`` and every folder below it with the names of its files; hidden folders only if ``hidden`` is true.

        Links to folders are followed, after the folders themselves and in the order of their names. No folder is entered
        twice, and no link to a folder that contains ``root`` is followed, so that links can't lead in circles and no image
        has two paths.
        """
        parents = (*root.resolve().parents, *Path(os.path.abspath(root)).parents)  # noqa: PTH100 (as the path is written)
        above, entered = {os.path.realpath(folder) for folder in parents}, set()
        starts = [root]
        for start in starts:
            if start != root and os.path.realpath(start) in above:
                self.unfollowed.add(str(start))
                continue
            links = []
            for place, folders, files in os.walk(start, onerror=_fail):
                real = os.path.realpath(place)
                if real in entered:
                    self.unfollowed.add(place)
                    folders.clear()
                    continue
                entered.add(real)
                folders[:] = sorted(name for name in folders if hidden or not name.startswith("."))
                links += [path for name in folders if (path := Path(place, name)).is_symlink()]
                yield Path(place), files
            starts += sorted(links)  # the loop continues with these links

    def notes(self) -> list[str]:
        """Return a list of up to two notes: about the files that were passed over, and about links that were not followed."""
        notes = []
        if self.passed_over:
            reasons = [f"{count} {reason}" for reason, count in self.passed_over.most_common(MOST_REASONS)]
            if rest := self.passed_over.total() - sum(count for _, count in self.passed_over.most_common(MOST_REASONS)):
                reasons.append(f"{rest} {plural(rest, 'other')}")
            unread = any(reason.startswith("ending") for reason in self.passed_over)
            remedy = "; files with such an ending are not read: convert images to PNG" if unread else ""
            files = plural(self.passed_over.total(), "file was", "files were")
            notes.append(f"{self.passed_over.total()} {files} passed over ({', '.join(reasons)}){remedy}")
        if self.unfollowed:
            links = plural(len(self.unfollowed), "link to a folder was", "links to folders were")
            notes.append(
                f"{len(self.unfollowed)} {links} not followed (such as {printable(min(self.unfollowed))}), because the images "
                "there are listed under another path"
            )
        return notes


def encodable(path: Path) -> str:
    """Return ``path`` as text. Raises a DataError if a name in it isn't valid UTF-8."""
    for part in (*reversed(path.parents), path):
        require_text(part)
    return str(path)


def require_text(file: Path) -> None:
    """Raise a DataError if the name of ``file`` isn't valid UTF-8, because such a name can't be written to lists."""
    try:
        file.name.encode()
    except UnicodeEncodeError:
        raise DataError(f"{file.parent}: the file name {file.name!a} is not UTF-8; rename it") from None


def _reason_to_pass(file: Path) -> str:
    """Return why ``file`` isn't listed as an image, as words that follow a number; empty if it is listed."""
    ending = file.suffix.lower()
    if file.name.startswith("."):
        return "hidden"
    if ending not in image_suffixes():
        known = 1 < len(ending) <= LONGEST_ENDING and ending.isprintable() and " " not in ending
        return f"ending in {ending}" if known else "without an ending"
    if not file.is_file():
        return "linked to a missing file" if file.is_symlink() else "not regular"
    return ""


def _fail(problem: OSError) -> NoReturn:
    raise problem
