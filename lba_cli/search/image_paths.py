"""Which images a command line names: files, folders with all that is below them, and globs."""

from __future__ import annotations

import fnmatch
import glob
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from lba_cli.data.image_files import image_suffixes
from lba_cli.errors import DataError, quoted


@dataclass
class FoundImages:
    """Images by their paths, sorted and each once; and how many other files lay beside them."""

    paths: list[str] = field(default_factory=list)
    strays: int = 0

    def notes(self) -> list[str]:
        """What a user should know of the strays."""
        return [f"{self.strays} files that are not images were ignored"] if self.strays else []


def find_images(names: Sequence[str]) -> FoundImages:
    """Find the images that ``names`` mean.

    A file that is named itself counts as an image whatever its ending; in folders (walked recursively; hidden names and
    links to folders aren't followed) and among what a glob matches, the ending decides. The order is that of the paths.

    Raises:
        DataError: a name is nothing or matches nothing, there is no image at all, or a file's name isn't UTF-8.
    """
    found = FoundImages()
    for name in names:
        require_name(name)
        if Path(name).is_dir():
            _walk(Path(name), found)
        elif Path(name).is_file():
            found.paths.append(str(Path(name)))
        elif glob.has_magic(name):
            _match(name, found)
        else:
            raise DataError(f"{quoted(name, 200)}: no such image or folder")
    found.paths = sorted({_encodable(path) for path in found.paths})
    if not found.paths:
        where = ", ".join(quoted(name) for name in names[:3])
        raise DataError(f"{where}: no images there ({found.strays} other files)")
    return found


def require_name(name: str) -> None:
    """Refuse an empty name, which would mean the current folder with all below it: a shell's variable that isn't set.

    Raises:
        DataError: it is empty.
    """
    if not name:
        raise DataError("an empty name of an image; name the folder . itself if you mean all that is here")


def meaning(name: str) -> Callable[[str], bool]:
    """Whether an absolute path is one that ``name`` means to :func:`find_images`, whether or not it is there any more.

    A pattern means what it matches, a part of the path at a time, and all that is below it.
    """
    if not glob.has_magic(name):
        return under(name)
    # only what was typed is a pattern, not the name of the folder that it was typed in
    pattern = Path(absolute_path(str(Path(glob.escape(str(Path.cwd()))) / name))).parts
    below = int(name.endswith(os.sep))  # which folders alone match

    def is_meant(path: str) -> bool:
        parts = Path(path).parts
        return any(
            _fits(parts[:end], pattern) and not any(part.startswith(".") for part in parts[end:])
            for end in range(1, len(parts) + 1 - below)
        )

    return is_meant


def under(name: str) -> Callable[[str], bool]:
    """Whether an absolute path is that of ``name``, taken as it is, or is below it."""
    whole = Path(absolute_path(name))
    return lambda path: Path(path).is_relative_to(whole)


def absolute_path(name: str) -> str:
    """The absolute path of ``name``, ``..`` resolved and links left as they are: what an index calls an image."""
    return os.path.abspath(name)  # noqa: PTH100 (it follows no links)


def _match(pattern: str, found: FoundImages) -> None:
    matches = {Path(match) for match in glob.iglob(pattern, recursive=True)}  # noqa: PTH207 (patterns may be absolute)
    if not matches:
        raise DataError(f"{quoted(pattern, 200)}: matches no file")
    files = {path for path in matches if not path.is_dir()}
    for folder in matches - files:
        files.update(_files(folder))
    for path in files:
        _sort_out(path, found)


def _fits(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether the parts of a path match those of a pattern, as ``glob`` does it."""
    if not pattern or not parts:
        return not parts and all(part == "**" for part in pattern)
    hidden = parts[0].startswith(".") and not pattern[0].startswith(".")
    if pattern[0] == "**":
        return _fits(parts, pattern[1:]) or (not hidden and _fits(parts[1:], pattern))
    return not hidden and fnmatch.fnmatchcase(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])


def _walk(root: Path, found: FoundImages) -> None:
    for path in _files(root):
        _sort_out(path, found)


def _files(root: Path) -> Iterator[Path]:
    def fail(problem: OSError) -> NoReturn:
        raise problem

    for place, folders, files in os.walk(root, onerror=fail):
        folders[:] = [folder for folder in folders if not folder.startswith(".")]
        yield from (Path(place) / file for file in files)


def _sort_out(path: Path, found: FoundImages) -> None:
    if path.suffix.lower() in image_suffixes() and not path.name.startswith(".") and path.is_file():
        found.paths.append(str(path))
    else:
        found.strays += 1


def _encodable(path: str) -> str:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        raise DataError(f"the file name {path!a} isn't valid UTF-8; rename it") from None
    return path
