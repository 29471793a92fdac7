"""Find the images that a command line names: files, folders with everything below them, and globs."""

import fnmatch
import glob
import itertools
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from lba_cli.data.image_listing import FoundImages, encodable
from lba_cli.errors import DataError, quoted


def find_images(names: Sequence[str]) -> FoundImages:
    """Find the images that ``names`` refer to, sorted by path and without duplicates.

    A file that is named itself counts as an image whatever its suffix. In folders and among the matches of a glob, only
    files with an image's suffix count. Folders are walked recursively, see :meth:`FoundImages.files_below`; hidden files
    and folders are left out.

    Raises:
        DataError: a name is empty or matches no file, there is no image at all, or a file's name isn't valid UTF-8.
    """
    found = FoundImages()
    for name in names:
        require_name(name)
        if Path(name).is_dir():
            found.take(found.files_below(Path(name)))
        elif Path(name).is_file():
            found.paths.append(encodable(Path(name)))
        elif glob.has_magic(name):
            _match(name, found)
        else:
            raise DataError(f"{quoted(name, 200)}: no such image or folder")
    found.paths = sorted(set(found.paths))
    if not found.paths:
        where = ", ".join(quoted(name) for name in names[:3])
        raise DataError("; ".join([f"{where}: no images found", *found.notes()]))
    return found


def require_name(name: str) -> None:
    """Refuse an empty name, which may come from an unset shell variable and would mean the whole current folder."""
    if not name:
        raise DataError("the name of an image or folder is empty; name . for the current folder")


def is_meant_by(name: str) -> Callable[[str], bool]:
    """Return a function: would :func:`find_images` find an absolute path for ``name``, if the file existed?

    A glob refers to the files and folders that it matches, and to everything below these folders.
    """
    if not glob.has_magic(name):
        return is_below(name)
    # Only the name itself is a pattern, not the path of the current folder in front of it.
    pattern = Path(absolute_path(str(Path(glob.escape(str(Path.cwd()))) / name))).parts
    below = int(name.endswith(os.sep) or pattern[-1] == "**")  # such a pattern refers only to the contents of folders

    def is_meant(path: str) -> bool:
        parts = Path(path).parts
        return any(
            _fits(parts[:end], pattern) and not any(part.startswith(".") for part in parts[end:])
            for end in range(1, len(parts) + 1 - below)
        )

    return is_meant


def is_below(name: str) -> Callable[[str], bool]:
    """Return a function that says whether an absolute path equals ``name``, taken literally, or lies below it."""
    whole = Path(absolute_path(name))
    return lambda path: Path(path).is_relative_to(whole)


def find_stored(name: str, between: Callable[[str, str], Iterable[str]]) -> set[str]:
    """Return the absolute paths, of those that a gallery stores, to which ``name`` refers: an image, a folder or a glob.

    Args:
        name: the name, which is first taken literally. The files needn't exist any more.
        between: a function of two texts that yields all stored paths from the first up to, but without, the second. It may yield others,
            too.
    """
    require_name(name)
    if found := set(filter(is_below(name), between(*_range(name)))):
        return found
    literal = itertools.takewhile(lambda part: not glob.has_magic(part), Path(name).parts)
    return set(filter(is_meant_by(name), between(*_range(str(Path(*literal))))))


def _range(name: str) -> tuple[str, str]:
    """Return two texts that enclose the absolute paths of ``name`` and of everything below it."""
    whole = absolute_path(name).rstrip(os.sep)
    return whole, whole + chr(ord(os.sep) + 1)


def absolute_path(name: str) -> str:
    """Return the absolute path under which an index lists the image ``name``; ``..`` is resolved, but links are kept."""
    return os.path.abspath(name)  # noqa: PTH100 (Path.resolve follows links)


def _match(pattern: str, found: FoundImages) -> None:
    parts = Path(pattern).parts
    if "**" in parts:
        matches = _below_matches(Path(*itertools.takewhile(lambda part: not glob.has_magic(part), parts)), pattern)
    else:
        matches = {Path(match) for match in glob.iglob(pattern)}  # noqa: PTH207 (patterns may be absolute)
    if not matches:
        raise DataError(f"{quoted(pattern, 200)}: matches no file")
    files = {path for path in matches if not path.is_dir()}
    for folder in sorted(matches - files):
        files.update(found.files_below(folder))
    found.take(files)


def _below_matches(start: Path, pattern: str) -> set[Path]:
    """Return the files and folders below ``start`` that match a pattern with ``**``. Python's glob would follow cyclic links."""
    if not start.is_dir():
        return set()
    is_meant, walk = is_meant_by(pattern), FoundImages()
    paths = [
        path for place, files in walk.folders_below(start, hidden=True) for path in (place, *map(place.joinpath, files))
    ]
    paths += [
        path for path in map(Path, walk.unfollowed) if not _leads_back(path)
    ]  # the pattern may match the links themselves
    return {path for path in paths if is_meant(absolute_path(str(path)))}


def _leads_back(link: Path) -> bool:
    """Return whether a link leads to a folder that contains it."""
    target = Path(os.path.realpath(link))
    return any(Path(os.path.realpath(above)).is_relative_to(target) for above in link.parents)


def _fits(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Return whether the parts of a path match those of a pattern by the rules of ``glob``."""
    if not pattern or not parts:
        return not parts and all(part == "**" for part in pattern)
    hidden = parts[0].startswith(".") and not pattern[0].startswith(".")
    if pattern[0] == "**":
        return _fits(parts, pattern[1:]) or (not hidden and _fits(parts[1:], pattern))
    return not hidden and fnmatch.fnmatchcase(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])
