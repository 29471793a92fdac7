"""Locks between processes, so that only one process at a time works on an output. A killed process loses its locks.

The package filelock does the locking. Processes forked from the holder, such as data loaders' workers, neither keep its lock
alive nor release it. This requires filelock 3.30 or newer.
"""

import errno
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from lba_cli.errors import LbaError

HOLDER, SOFT = ".json", ".soft"  # lock file name + HOLDER: says who holds the lock; + SOFT: the lock without flock
# Long enough for a few attempts: the first one fails if the holder has just removed the file.
GRACE_SECONDS, POLL_SECONDS = 0.1, 0.02
# The errors of file systems without flock. filelock itself handles only ENOSYS; network file systems give the others.
NO_FLOCK = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL}
MOST_HOLDER = 4096


@contextmanager
def exclusive(lock_path: Path, activity: str) -> Iterator[None]:
    """Hold a lock within the block, and record its holder in a file beside the lock file. Both files are removed afterwards.

    The lock of a dead process is taken over. Where the file system has no ``flock``, the holder is looked up by its process
    number, and a holder on another host counts as alive.

    Args:
        lock_path: the lock file; its folder is made if needed.
        activity: what the block does, for the message, such as "training into runs/a".

    Raises:
        LbaError: another process holds the lock; the message names that process, its host, and when it took the lock.
        OSError: the lock file can't be made or is a link.
    """
    lock_path.parent.mkdir(parents=True, exist_ok=True)
    lock = try_lock(lock_path)
    if lock is None:
        raise LbaError(_refusal(lock_path, activity))
    holder = _holder_path(lock_path)
    try:
        _describe_holder(holder)
        yield
    finally:
        if lock.is_locked:
            holder.unlink(missing_ok=True)
        unlock(lock)


def lock_beside(output: Path) -> Path:
    """Return the lock file of ``output``: a hidden file beside it, because ``output`` appears only when it is complete."""
    output = output.absolute()
    return output.with_name(f".{output.name}.lock")


def is_lock_file(path: Path, lock_path: Path) -> bool:
    """Return whether ``path`` is ``lock_path`` or one of the files that :func:`exclusive` keeps beside it."""
    return path.name in {lock_path.name + ending for ending in ("", HOLDER, SOFT)} and path.parent == lock_path.parent


def try_lock(path: Path) -> BaseFileLock | None:
    """Lock the file at ``path``, which is made if needed. Return the lock, or None if another process holds it.

    Raises:
        OSError: the file can't be opened, or is a link.
    """
    try:
        return _acquired(FileLock(path, fallback_to_soft=False))
    except OSError as problem:
        if problem.errno not in NO_FLOCK:
            raise
        # A soft lock is held while its file exists. Processes on the same host take over the lock of a dead process.
        return _acquired(SoftFileLock(path.with_name(path.name + SOFT)))


def _acquired(lock: BaseFileLock) -> BaseFileLock | None:
    try:
        lock.acquire(timeout=GRACE_SECONDS, poll_interval=POLL_SECONDS)
        return lock
    except Timeout:
        return None


def unlock(lock: BaseFileLock) -> None:
    """Release a lock and remove its file; nothing happens in a process that was forked from the holder.

    The file is removed while the lock is held. Another process that has opened the file by then gets the lock of a removed
    file; filelock notices this and tries again.
    """
    if lock.is_locked:
        path = Path(lock.lock_file)
        with suppress(OSError):  # Windows doesn't remove open files
            (path.with_name(path.name.removesuffix(SOFT)) if isinstance(lock, SoftFileLock) else path).unlink()
        lock.release()


def _holder_path(lock_path: Path) -> Path:
    return lock_path.with_name(lock_path.name + HOLDER)


def _describe_holder(path: Path) -> None:
    holder = {"process": os.getpid(), "host": socket.gethostname(), "since": f"{datetime.now():%Y-%m-%d %H:%M:%S}"}
    path.unlink(missing_ok=True)  # left by a killed holder, or a link that must not be followed
    with path.open("x", encoding="utf-8") as file:
        json.dump(holder, file)


def _read_holder(path: Path) -> dict[str, Any]:
    """Read the record of a lock's holder. It is empty if the file can't be read, for example because it isn't written yet."""
    try:
        with path.open(encoding="utf-8") as file:
            holder = json.loads(file.read(MOST_HOLDER))
    except (OSError, ValueError, RecursionError):
        return {}
    return holder if isinstance(holder, dict) else {}


def _refusal(lock_path: Path, activity: str) -> str:
    holder, soft = _read_holder(_holder_path(lock_path)), lock_path.with_name(lock_path.name + SOFT)
    who = f"process {holder.get('process', '?')} on host {holder.get('host', '?')}"
    remedy = f"remove {soft} if that process has ended" if soft.exists() else "stop it"
    return f"{activity}: {who} is doing that already, since {holder.get('since', '?')}; wait for it, or {remedy}"
