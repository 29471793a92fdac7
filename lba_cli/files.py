"""Write files and folders atomically, and read files up to a size limit.

Work in progress lies in a hidden folder beside its destination, ``.NAME.xxxxxxxx.partial``, which its writer keeps locked.
If a writer is killed, the system releases its lock, and the next writer of the same name removes the folder.
"""

import codecs
import errno
import glob
import io
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import BaseFileLock

from lba_cli.locks import is_lock_file, try_lock, unlock

MOST_TEXT = 16 * 2**20
ZERO_BYTES = "contains zero bytes: it isn't text, or is UTF-16 without a byte order mark; save the file as UTF-8"
ATTEMPTS = 10
# UTF-16 is what PowerShell and "Unicode" in Windows' Notepad write. The mark of UTF-32 comes first, because it begins with that of UTF-16.
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
LOCK = ".lock"  # the name of the lock file in a partial folder
ON_WINDOWS = os.name == "nt"


@contextmanager
def whole_file(path: Path, *, replace: bool = True) -> Iterator[Path]:
    """Yield a temporary path to write a file to; on a clean exit the file moves to ``path``, otherwise it is removed.

    The temporary path has the same name, in a hidden folder. The folder of ``path`` is made if needed. The content is on
    disk before the file moves, so a reader always sees the whole old file or the whole new one.

    Raises:
        FileExistsError: ``replace`` is false, and a file or folder appeared at ``path`` in the meantime.
    """
    with _partial(path) as partial:
        yield partial
        flush_to_disk(partial)
        partial.chmod(0o666 & ~_umask())  # safetensors makes files that only their owner can read
        _move(partial, path, replace)
        flush_to_disk(path.parent)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder to fill; on a clean exit it is moved to ``path``, otherwise it is removed.

    Raises:
        FileExistsError: ``path`` isn't free (see :func:`is_free`).
    """
    path = path.absolute()
    if not is_free(path):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    with _partial(path) as partial:
        partial.mkdir()
        yield partial
        for written in (*(child for child in partial.iterdir() if child.is_file()), partial):
            flush_to_disk(written)
        if path.exists():
            path.rmdir()
        partial.rename(path)
        flush_to_disk(path.parent)


def is_free(path: Path) -> bool:
    """Return whether a new folder can take the name ``path``: nothing exists there, or an empty folder that can be replaced."""
    path = path.absolute()
    if not path.exists():
        return True
    return path.is_dir() and not os.path.ismount(path) and path != Path.cwd() and not any(path.iterdir())


def at_home(value: Any) -> Any:
    """Replace ``~`` or ``~user`` at the start of a path, or of each path in a list, with the home folder.

    The values of all options and config keys pass through this function, because a shell doesn't expand ``--output=~/x``,
    and nothing expands ``~`` in YAML. Other values and the names of unknown users are left unchanged. ``./~`` names a folder
    called ``~``. Nested lists aren't searched: a checkpoint's configuration is untrusted, and a list in it may contain itself.
    """
    if isinstance(value, list | tuple):
        return type(value)(_at_home(each) for each in value)
    return _at_home(value)


def _at_home(value: Any) -> Any:
    if isinstance(value, str | Path) and str(value).startswith("~"):
        return type(value)(os.path.expanduser(value))  # noqa: PTH111 (Path.expanduser raises an error for unknown users)
    return value


def remove_file(path: Path) -> None:
    """Remove a file if it exists. On Windows, a file that a process still has open is left to a later call."""
    try:
        path.unlink(missing_ok=True)
    except PermissionError:
        if not ON_WINDOWS:
            raise


def sweep(path: Path) -> None:
    """Remove the partial folders that killed writers of ``path`` left beside it. Folders of running writers are kept."""
    ours = re.compile(rf"\.{re.escape(path.name)}\.[a-z0-9_]{{8}}\.partial")
    for folder in path.parent.glob(f".{glob.escape(path.name)}.*.partial"):
        if ours.fullmatch(folder.name) and _holds_only(folder, path.name) and (lock := _try_lock_folder(folder)):
            _remove(folder, lock)


def write_text(path: Path, text: str, *, replace: bool = True) -> None:
    """Write UTF-8 ``text`` to ``path`` atomically. Raises what :func:`whole_file` raises.

    Line ends are the same on every system. Bytes of file names that aren't UTF-8 are written as escapes such as ``\\udcff``,
    which JSON reads back.
    """
    with whole_file(path, replace=replace) as partial:
        partial.write_bytes(text.encode(errors="backslashreplace"))


def append_line(path: Path, line: str) -> None:
    """Append a line to a file. Raises OSError for a link or a pipe. If writing fails, the file is left unchanged."""
    with io.FileIO(_open_regular(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT), "ab") as file:
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
    """Read a text file of at most ``most`` bytes, in UTF-8 or in the UTF-16 or UTF-32 that its byte order mark announces.

    Raises:
        OSError: the file can't be read, isn't a regular file, or is larger.
        UnicodeDecodeError: the file isn't text in one of these encodings; see :func:`encoding_problem`.
    """
    content = read_bytes(path, most)
    return content.decode(next((name for mark, name in _MARKS.items() if content.startswith(mark)), "utf-8-sig"))


def encoding_problem(problem: UnicodeDecodeError) -> str:
    """Return a message that says what :func:`read_text` couldn't decode, and what to do about it."""
    if problem.encoding == "utf-8" and b"\0" in problem.object:
        return ZERO_BYTES
    line = problem.object.count(b"\n", 0, problem.start) + 1
    return f"line {line} is not {problem.encoding.upper()} text (byte 0x{problem.object[problem.start]:02x}); save the file as UTF-8"


def read_bytes(path: Path, most: int) -> bytes:
    """Read a file of at most ``most`` bytes. Raises OSError as :func:`read_text` does."""
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"larger than {most:,} bytes", str(path))
    return content


@contextmanager
def _partial(path: Path) -> Iterator[Path]:
    """Yield a path with the same name in a new, locked hidden folder beside ``path``; the folder is removed afterwards."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path)
    folder, lock = _new_partial_folder(path)
    try:
        yield folder / path.name
    finally:
        _remove(folder, lock)


def _new_partial_folder(path: Path) -> tuple[Path, BaseFileLock]:
    import tempfile  # imported here, so that commands that write nothing don't wait for it

    for _ in range(ATTEMPTS):
        folder, lock = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)), None
        try:
            lock = _try_lock_folder(folder)
        finally:
            if lock is None:
                _remove(folder, lock)
        if lock:
            return folder, lock
    raise OSError(errno.ENOLCK, "the temporary folder beside it can't be locked; try again", str(path))


def _try_lock_folder(folder: Path) -> BaseFileLock | None:
    """Lock a partial folder and return the lock; None if another process holds it, or has just removed the folder."""
    try:
        return try_lock(folder / LOCK)
    except FileNotFoundError:
        return None


def _holds_only(folder: Path, name: str) -> bool:
    """Return whether a folder contains nothing but the files that a writer of ``name`` creates."""
    with suppress(OSError):
        return all(child.name == name or is_lock_file(child, folder / LOCK) for child in folder.iterdir())
    return False


def _remove(folder: Path, lock: BaseFileLock | None) -> None:
    """Remove a partial folder, even if the process can open only one more file; ``shutil.rmtree`` needs several."""
    if lock:
        unlock(lock)
    for place, folders, files in os.walk(folder, topdown=False):
        with suppress(OSError):
            for name in files:
                Path(place, name).unlink()
            for name in folders:
                Path(place, name).rmdir()
    with suppress(OSError):
        folder.rmdir()


def _move(partial: Path, path: Path, replace: bool) -> None:
    if replace:
        partial.replace(path)
        return
    try:
        os.link(partial, path)
    except OSError as problem:
        if isinstance(problem, FileExistsError) or path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
        partial.rename(path)  # on a file system without hard links


def _open_regular(path: Path, flags: int) -> int:
    """Open a regular file, and return its descriptor. Links are refused, because they could lead to any file of the user."""
    never_a_link = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)  # and a pipe must not block
    as_it_is = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)  # Windows has only the second
    descriptor = os.open(path, flags | as_it_is | never_a_link, 0o666)
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        os.close(descriptor)
        raise OSError(errno.EINVAL, "a link, or not a regular file; remove it", str(path))
    return descriptor


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def flush_to_disk(path: Path) -> None:
    """Wait until a file or folder is written to disk. On Windows, which can't open folders, nothing is done for a folder."""
    if ON_WINDOWS and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDWR if ON_WINDOWS else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
