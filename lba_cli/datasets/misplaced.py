"""Find what a copy of a data set seems to lack: spelled otherwise, with another ending, or in another folder."""

import shlex
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path, PurePosixPath

from lba_cli.data.image_files import image_suffixes

MOST_FOLDERS = 1000  # looked into, in search of a data set


class Names:
    """The names below a folder, whatever their letter case and Unicode form. Every folder is listed once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._below: dict[Path, dict[str, str]] = {}

    def find(self, name: str) -> str | None:
        """Return the path below the root that is ``name``, or else is spelled almost like it; None if there is none."""
        place = self.root
        for part in name.split("/"):
            below = self.below(place)
            found = below.get(part) or below.get(_folded(part))
            if found is None:
                return None
            place /= found
        return place.relative_to(self.root).as_posix()

    def below(self, place: Path) -> dict[str, str]:
        """Return what is directly in ``place``: each name under itself and under its folded form."""
        if place not in self._below:
            try:
                names = sorted(entry.name for entry in place.iterdir())
            except OSError:
                names = []
            self._below[place] = {_folded(name): name for name in names} | {name: name for name in names}
        return self._below[place]


def lacking(root: Path, needed: Iterable[str]) -> list[str]:
    """Return those of the ``needed`` names that ``root`` has under no spelling."""
    names = Names(root)
    return [name for name in needed if names.find(name) is None]


def better_root(root: Path, needed: Collection[str]) -> str:
    """Return a sentence on the folder nearby that has what ``root`` should have; empty if there is none.

    Data sets are found that were unpacked up to two folders too deep or too high, and those beside a missing ``root``.
    """
    first = {_folded(name.split("/")[0]) for name in needed}
    places = [place for place in islice(_nearby(root), MOST_FOLDERS) if not first.isdisjoint(Names(place).below(place))]
    missing = {place: lacking(place, needed) for place in places}
    best = min(missing, key=lambda place: len(missing[place]), default=root)
    if best == root or len(missing[best]) > len(needed) // 3 or len(missing[best]) >= len(lacking(root, needed)):
        return ""
    rest = f", except {', '.join(missing[best])}" if missing[best] else ""
    place = shlex.quote(str(best))
    return f"All of it is in {best}{rest}: use --root {place} (lba prepare) or --data {place} (other commands). "


def whereabouts(root: Path, missing: Sequence[str]) -> tuple[str, list[str]]:
    """Return sentences on where ``missing`` files or folders are instead, and those that aren't anywhere near.

    ``missing`` are paths relative to ``root``.
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
    return f"{len(pairs)} of them are there under other names, such as {pairs[0][1]} for {pairs[0][0]}"


def _candidates(names: Names, name: str) -> Iterator[tuple[str, str]]:
    """Yield what to do about a missing name, and the path that probably is meant by it; the likeliest first."""
    if place := names.find(name):
        if place == name:
            yield "that can't be read; it is of another kind, or a link that leads nowhere", place
        yield "the spelling must be the same, upper and lower case included; rename what is there", place
    path = PurePosixPath(name)
    if path.suffix.lower() in image_suffixes() and (folder := names.find(str(path.parent))):
        for suffix in sorted(image_suffixes()):
            if found := names.below(names.root / folder).get(_folded(path.stem + suffix)):
                yield "the format differs; write the files' own endings into the lists", f"{folder}/{found}"
    elsewhere = [name.partition("/")[2], *(f"{folder}/{name}" for folder in names.below(names.root).values())]
    for place in map(names.find, filter(None, elsewhere)):
        if place:
            yield "the folder differs; move what is there", place


def _nearby(root: Path) -> Iterator[Path]:
    """Yield the folders below ``root``, down to two levels, and the one above it.

    Of a missing root, yield the two above it, with the folders in them.
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
