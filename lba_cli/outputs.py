"""Checks of whether an output may be written. Commands call them before they start their work."""

import os
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from pathlib import Path

from lba_cli.errors import LbaError
from lba_cli.files import is_free


def require_new_file(path: Path, *, force: bool, suffixes: Sequence[str] = (), option: str = "--output") -> None:
    """Refuse a ``path`` to which a file couldn't be written later.

    Args:
        force: whether an existing file may be replaced.
        suffixes: the allowed suffixes, such as ".png"; if empty, any suffix is allowed. Letter case doesn't matter.
        option: the option that names the file, for the message.

    Raises:
        LbaError: the suffix isn't allowed, ``path`` exists and may not be replaced, or its folder can't be written to.
    """
    if suffixes and path.suffix.lower() not in suffixes:
        allowed = " or ".join((", ".join(suffixes[:-1]), suffixes[-1]) if len(suffixes) > 1 else suffixes)
        raise LbaError(f"{path}: the file's name must end in {allowed}")
    if path.is_dir():
        raise LbaError(f"{path}: exists already and is a folder; name another file with {option}")
    if path.exists() and not (force and path.is_file()):
        raise LbaError(f"{path}: exists already; name another file with {option}, or replace it with --force")
    _require_writable_parent(path)


def require_new_files(files: Mapping[str, Path | None], *, force: bool) -> None:
    """Refuse files that couldn't be written later. ``files`` maps options to paths, or to None for options that aren't given.

    Raises:
        LbaError: as :func:`require_new_file` and :func:`require_separate_files`.
    """
    for option, path in files.items():
        if path:
            require_new_file(path, force=force, option=option)
    require_separate_files(files)


def require_separate_files(files: Mapping[str, Path | None]) -> None:
    """Refuse options that name the same file, or a file within another one. ``files`` is as in :func:`require_new_files`.

    Raises:
        LbaError: two files are in each other's way.
    """
    given = {option: path.absolute() for option, path in files.items() if path}
    for (first, one), (second, other) in combinations(given.items(), 2):
        if one == other:
            raise LbaError(f"{files[second]}: {first} and {second} name the same file; give each its own")
        if one in other.parents or other in one.parents:
            raise LbaError(
                f"{files[second]}: {first} and {second} can't both be written: one is a file where the other needs a folder"
            )


def require_empty_folder(
    path: Path, *, ignoring: Callable[[Path], bool] = lambda _: False, option: str = "--output"
) -> None:
    """Refuse a path that exists, unless it is an empty folder, which will be filled rather than replaced.

    Args:
        ignoring: a function that returns whether a path in the folder, such as a lock file, is ignored.
        option: the option that names the folder, for the message.

    Raises:
        LbaError: ``path`` exists and isn't a folder, or it contains something that isn't ignored.
    """
    if path.exists() and (not path.is_dir() or not all(map(ignoring, path.iterdir()))):
        raise LbaError(f"{path}: exists already and isn't an empty folder; name another folder with {option}")


def require_new_folder(path: Path, *, option: str = "--output", remedy: str = "") -> None:
    """Refuse a folder that couldn't be made later. An empty folder may be replaced.

    Args:
        option: the option that names the folder, for the message.
        remedy: what the message proposes besides naming another folder; by default, removing the existing one.

    Raises:
        LbaError: ``path`` exists and isn't an empty folder, or the folder can't be made.
    """
    if not is_free(path):
        raise LbaError(f"{path}: exists already; name another folder with {option}, or {remedy or 'remove it first'}")
    _require_writable_parent(path)


def _require_writable_parent(path: Path) -> None:
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not (folder.is_dir() and os.access(folder, os.W_OK)):
        raise LbaError(f"{path}: can't be written, because {folder} is not a writable folder")
