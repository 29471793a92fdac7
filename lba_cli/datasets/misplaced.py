"""Look for missing files and folders of a data set under another spelling, with another ending, or in another folder."""

import shlex
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path, PurePosixPath

from lba_cli.data.image_files import image_suffixes

MOST_FOLDERS = 1000  # the largest number of folders that are searched for a data set


class Names:
    """Finds names below the folder ``root``, ignoring letter case and Unicode form. Every folder is listed only once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._below: dict[Path, dict[str, str]] = {}

    def find(self, name: str) -> str | None:
        """Return ``name``, a path relative to the root, in its existing spelling; None if there is no such path."""
        place = self.root
        for part in name.split("/"):
            below = self.below(place)
            found = below.get(part) or below.get(_folded(part))
            if found is None:
                return None
            place /= found
        return place.relative_to(self.root).as_posix()

    def below(self, place: Path) -> dict[str, str]:
        """Return the names of the files and folders directly in ``place``, by the name itself and by its folded form."""
        if place not in self._below:
            try:
                names = sorted(entry.name for entry in place.iterdir())
            except OSError:
                names = []
            self._below[place] = {_folded(name): name for name in names} | {name: name for name in names}
        return self._below[place]


def lacking(root: Path, needed: Iterable[str]) -> list[str]:
    """Return the ``needed`` names that don't exist below ``root``, ignoring letter case and Unicode form."""
    names = Names(root)
    return [name for name in needed if names.find(name) is None]


def better_root(root: Path, needed: Collection[str]) -> str:
    """Return a sentence that names a nearby folder with the files and folders that are ``needed``; empty if there is none.

    The folder may be up to two levels below ``root``, or directly above it. If ``root`` doesn't exist, the two folders above it
    and the folders in these are searched.
    """
    first = {_folded(name.split("/")[0]) for name in needed}
    places = [place for place in islice(_nearby(root), MOST_FOLDERS) if not first.isdisjoint(Names(place).below(place))]
    missing = {place: lacking(place, needed) for place in places}
    best = min(missing, key=lambda place: len(missing[place]), default=root)
    if best == root or len(missing[best]) > len(needed) // 3 or len(missing[best]) >= len(lacking(root, needed)):
        return ""
    rest = f", except {', '.join(missing[best])}" if missing[best] else ""
    place = shlex.quote(str(best))
    return f"The data set is in {best}{rest}: use --root {place} (lba prepare) or --data {place} (other commands). "


def whereabouts(root: Path, missing: Sequence[str]) -> tuple[str, list[str]]:
    """Return sentences that say where missing files and folders were found instead, and the list of names that weren't found.

    ``missing`` holds paths relative to ``root``.
    """
    names = Names(root)
    found: dict[str, list[tuple[str, str]]] = {}
    lost: list[str] = []
    for name in missing:
        remedy, place = next(_candidates(names, name), ("", ""))
        if place:
            found.setdefault(remedy, []).append((name, place))
        else:
            lost.append(name)
    return "".join(f"{_listed(pairs)}: {remedy}. " for remedy, pairs in found.items()), lost


def _listed(pairs: Sequence[tuple[str, str]]) -> str:
    if len(pairs) <= 2:
        return " and ".join(f"{name} is there as {place}" for name, place in pairs)
    return f"{len(pairs)} missing names are there under other names, such as {pairs[0][0]} as {pairs[0][1]}"


def _candidates(names: Names, name: str) -> Iterator[tuple[str, str]]:
    """Yield pairs of a remedy for the missing ``name`` and the existing path that is probably meant, the likeliest first."""
    if place := names.find(name):
        if place == name:
            yield "it is a folder instead of a file, a file instead of a folder, or a broken link; replace it", place
        yield "the spelling must be the same, including upper and lower case; rename the file or folder", place
    path = PurePosixPath(name)
    if path.suffix.lower() in image_suffixes() and (folder := names.find(str(path.parent))):
        for suffix in sorted(image_suffixes()):
            if found := names.below(names.root / folder).get(_folded(path.stem + suffix)):
                yield "the ending differs; write the endings of the files into the lists", f"{folder}/{found}"
    elsewhere = [name.partition("/")[2], *(f"{folder}/{name}" for folder in names.below(names.root).values())]
    for place in map(names.find, filter(None, elsewhere)):
        if place:
            yield "the folder differs; move the file or folder", place


def _nearby(root: Path) -> Iterator[Path]:
    """Yield the folders up to two levels below ``root``, and the folder above it.

    If ``root`` doesn't exist, yield the two folders above it, each followed by the folders in it.
    """
    above = _above(root)
    if root.is_dir():
        children = _folders_in(root)
        yield from children
        for child in children:
            yield from _folders_in(child)
        yield above
    else:
        for place in (above, _above(above)):
            yield from (place, *_folders_in(place))


def _above(place: Path) -> Path:
    return (place if place.name not in ("", "..") else place.resolve()).parent


def _folders_in(place: Path) -> list[Path]:
    try:
        return sorted(entry for entry in place.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    except OSError:
        return []


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
