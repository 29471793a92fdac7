"""Files that a command is to write."""

from __future__ import annotations

import os
from pathlib import Path

from lba_cli.errors import LbaError


def require_free(paths: list[Path], force: bool) -> None:
    """Refuse, before the work, files that couldn't be written after it.

    Raises:
        LbaError: one exists (and ``force`` isn't given), its folder can't be written to, or two are the same.
    """
    for path in paths:
        if path.exists() and not (force and path.is_file()):
            raise LbaError(f"{path}: exists already; name another file, or replace it with --force")
        folder = next(parent for parent in path.absolute().parents if parent.exists())
        if not (folder.is_dir() and os.access(folder, os.W_OK)):
            raise LbaError(f"{path}: can't be written, {folder} is not a folder that can be written to")
    if len({path.absolute() for path in paths}) < len(paths):
        raise LbaError("two of the files to write have the same name")
