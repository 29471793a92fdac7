"""Files that a command is to write."""

from __future__ import annotations

from pathlib import Path

from lba_cli.errors import LbaError
from lba_cli.files import require_place


def require_free(paths: list[Path], force: bool) -> None:
    """Refuse, before the work, files that couldn't be written after it.

    Raises:
        LbaError: one exists (and ``force`` isn't given), its folder can't be written to, or two are the same.
    """
    for path in paths:
        require_place(path, force, "file")
    if len({path.absolute() for path in paths}) < len(paths):
        raise LbaError("two of the files to write have the same name")
