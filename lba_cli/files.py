"""Files and folders that appear whole or not at all, and text that is read up to a bound.

What is under way has a hidden name beside its place (``.NAME.….partial``) and is locked by its writer. What a killed
writer left behind isn't locked any more, and the next writer of the same name removes it.
"""

from __future__ import annotations

import errno
import glob
import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lba_cli.errors import LbaError
from lba_cli.locks import Held, hold, open_regular

MOST_TEXT = 16 * 2**20
TRIES = 10


@contextmanager
def whole_file(path: Path, *, replace: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on a clean exit it becomes ``path``, otherwise it vanishes.

    The content reaches the disk before the name does, so a reader sees the old file or the new one.

    Raises:
        FileExistsError: something appeared at ``path`` meanwhile, and ``replace`` is false.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path)
    partial, held = _new(path, folder=False)
    try:
        yield partial
        _flush(partial)
        partial.chmod(0o666 & ~_umask())
        _move(partial, path, replace)
        _flush(path.parent)
    finally:
        partial.unlink(missing_ok=True)
        held.release()


def require_place(path: Path, force: bool, other: str = "--output") -> None:
    """Refuse a file's place before the work for it is done.

    Args:
        path: where the file is to appear.
        force: whether a file that is there may be replaced.
        other: how another place is named.

    Raises:
        LbaError: something is there, or its folder can't be written to.
    """
    if path.exists() and not (force and path.is_file()):
        way = "a folder is there; " if path.is_dir() else ""
        replace = "" if path.is_dir() else ", or replace it with --force"
        raise LbaError(f"{path}: exists already; {way}name another {other}{replace}")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not (folder.is_dir() and os.access(folder, os.W_OK)):
        raise LbaError(f"{path}: can't be written, {folder} is not a folder that can be written to")


def is_free(path: Path) -> bool:
    """Whether a folder can appear at ``path``: nothing is there, or an empty folder that can be replaced."""
    path = path.absolute()
    if not path.exists():
        return True
    return path.is_dir() and not path.is_mount() and path != Path.cwd() and not any(path.iterdir())


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``; on a clean exit it becomes ``path``, otherwise it is removed.

    Raises:
        FileExistsError: ``path`` isn't free (see :func:`is_free`); nothing a user has is lost.
    """
    path = path.absolute()
    if not is_free(path):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path)
    partial, held = _new(path, folder=True)
    try:
        yield partial
        _flush_all(partial)
        partial.chmod(0o777 & ~_umask())
        if path.exists():
            path.rmdir()
        partial.rename(path)
        _flush(path.parent)
    finally:
        held.release()  # before, because removing a folder needs an open file too, and there may be no more
        _remove(partial)


def sweep(path: Path) -> None:
    """Remove what killed writers of ``path`` left beside it; what a live one is writing stays."""
    ours = re.compile(rf"\.{re.escape(path.name)}\.[a-z0-9_]{{8}}\.partial({re.escape(path.suffix)})?")
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.partial*"):
        held = hold(left) if ours.fullmatch(left.name) else None
        if held:
            _remove(left) if left.is_dir() else left.unlink(missing_ok=True)
            held.release()


def write_text(path: Path, text: str, *, replace: bool = True) -> None:
    """Write UTF-8 ``text`` to ``path``, whole or not at all; raises as :func:`whole_file`."""
    with whole_file(path, replace=replace) as partial:
        partial.write_text(text, encoding="utf-8")


def append_line(path: Path, line: str) -> None:
    """Add a line to a file; where the disk is full the file stays as it was.

    Raises:
        OSError: it can't be written, or is a link or a pipe that somebody put there.
    """
    with io.FileIO(open_regular(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT), "ab") as file:
        before = os.fstat(file.fileno()).st_size
        try:
            content = f"{line}\n".encode()
            if file.write(content) != len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            os.fsync(file.fileno())
        except OSError:
            file.truncate(before)
            raise


def read_text(path: Path, most: int = MOST_TEXT) -> str:
    """Read a UTF-8 file of at most ``most`` bytes.

    Raises:
        OSError: it can't be read, isn't a regular file, or is larger.
        UnicodeDecodeError: it isn't text.
    """
    return read_bytes(path, most).decode("utf-8-sig")


def read_bytes(path: Path, most: int) -> bytes:
    """Read a file of at most ``most`` bytes; raises OSError as :func:`read_text` does."""
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"larger than {most:,} bytes", str(path))
    return content


def _new(path: Path, *, folder: bool) -> tuple[Path, Held]:
    """Make an empty file or folder of a hidden name beside ``path``, and lock it."""
    import tempfile  # here, so that commands that write nothing don't wait for it

    for _ in range(TRIES):
        if folder:
            partial = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent))
        else:
            handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial" + path.suffix, dir=path.parent)
            os.close(handle)
            partial = Path(name)
        held = None
        try:
            held = hold(partial, new=True)
        finally:
            if not held:
                with suppress(OSError):
                    partial.rmdir() if folder else partial.unlink()
        if held:
            return partial, held
    raise OSError(errno.ENOLCK, f"a new {'folder' if folder else 'file'} can't be locked there", str(path))


def _move(partial: Path, path: Path, replace: bool) -> None:
    if replace:
        partial.replace(path)
        return
    try:
        os.link(partial, path)
    except FileExistsError:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
    except OSError:  # a file system without hard links
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
        partial.rename(path)


def _remove(folder: Path) -> None:
    """Remove a folder, if it is there, with one open file at a time (``shutil.rmtree`` needs several)."""
    for place, folders, files in os.walk(folder, topdown=False):
        with suppress(OSError):
            for name in files:
                Path(place, name).unlink()
            for name in folders:
                Path(place, name).rmdir()
    with suppress(OSError):
        folder.rmdir()


def _flush_all(folder: Path) -> None:
    """Flush the files directly in ``folder``, and the folder."""
    for path in (*(p for p in folder.iterdir() if p.is_file()), folder):
        _flush(path)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
