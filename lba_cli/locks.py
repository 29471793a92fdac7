"""Locks that the system lets go of when their process ends, however it ends."""

from __future__ import annotations

import errno
import json
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from lba_cli.errors import LbaError

# None on a system without flock, where the process that a lock file names is looked up instead
fcntl: Any = import_module("fcntl") if find_spec("fcntl") else None
NO_MORE_FILES = {errno.EMFILE, errno.ENFILE}
# EBADF: NFS locks only what is open for writing, which folders can't be.
NO_LOCKS_HERE = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EBADF, errno.EACCES}
TRIES = 20
# A pipe must not block, and a link must not lead elsewhere.
_NEVER_A_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


class Held:
    """A lock on an open file or folder, until it is released or this process ends; processes forked from it don't hold it."""

    _all: ClassVar[set[int]] = set()

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._all.add(descriptor)

    def release(self) -> None:
        """Let go of it."""
        self._all.discard(self.descriptor)
        os.close(self.descriptor)

    @classmethod
    def leave_to_the_parent(cls) -> None:
        """In a forked process: close what was inherited, which would outlive the parent otherwise."""
        for descriptor in cls._all:
            os.close(descriptor)
        cls._all.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=Held.leave_to_the_parent)


def hold(path: Path, *, new: bool = False) -> Held | None:
    """Lock the file or folder at ``path``; None where another process holds it, or has just removed it.

    Where the file system has no locks, one that this process has just made (``new``) counts as held, any other doesn't.

    Raises:
        OSError: this process can't open more files.
    """
    try:
        descriptor = os.open(path, (os.O_RDONLY if path.is_dir() else os.O_RDWR) | _NEVER_A_LINK)
    except OSError as problem:
        if problem.errno in NO_MORE_FILES:
            raise
        return None
    locked = _lock(descriptor)
    if (locked or (new and locked is None)) and _is_at(descriptor, path):
        return Held(descriptor)
    os.close(descriptor)
    return None


def open_regular(path: Path, flags: int) -> int:
    """Open a regular file that has one name; never through a link, which could lead to any file of the user's.

    Raises:
        OSError: it is something else.
    """
    descriptor = os.open(path, flags | os.O_CLOEXEC | _NEVER_A_LINK, 0o666)
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        os.close(descriptor)
        raise OSError(errno.EINVAL, "a link or no regular file; remove it", str(path))
    return descriptor


@contextmanager
def only_one(path: Path, work: str) -> Iterator[None]:
    """Hold the lock file ``path`` for the block; it says who holds it, and is gone afterwards.

    A lock file whose process has ended is taken over: the system let go of its lock. On file systems without locks the
    process is looked up by its number, and one of another host counts as alive.

    Args:
        path: of the lock file.
        work: what the block does, as "training into runs/a", for messages.

    Raises:
        LbaError: another process does this work; its number and host are named.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    held = _open(path, work)
    try:
        owner = {"process": os.getpid(), "host": socket.gethostname(), "since": f"{datetime.now():%Y-%m-%d %H:%M:%S}"}
        os.ftruncate(held.descriptor, 0)
        os.pwrite(held.descriptor, json.dumps(owner).encode(), 0)
        yield
    finally:
        path.unlink(missing_ok=True)
        held.release()


def _open(path: Path, work: str) -> Held:
    for _ in range(TRIES):
        descriptor = open_regular(path, os.O_RDWR | os.O_CREAT)
        try:
            free = _lock(descriptor)
            there = _is_at(descriptor, path)
            owner = _owner(descriptor)
            supported = free is not None
            if (not free and supported) or (not supported and _may_live(owner)):
                raise LbaError(_refusal(path, work, owner, supported))
        except BaseException:
            os.close(descriptor)
            raise
        if there:
            return Held(descriptor)
        os.close(descriptor)  # its owner has just ended and removed it
    raise OSError(errno.ENOLCK, "can't be locked there", str(path))


def _lock(descriptor: int) -> bool | None:
    """Whether the lock was free and is now held; None where the file system has no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as problem:
        if problem.errno in NO_LOCKS_HERE:
            return None
        raise
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether ``path`` still names the open file."""
    try:
        there, here = path.stat(), os.fstat(descriptor)
    except FileNotFoundError:
        return False
    return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)


def _owner(descriptor: int) -> dict[str, Any]:
    try:
        owner = json.loads(os.pread(descriptor, 4096, 0))
    except (ValueError, RecursionError):
        return {}
    return owner if isinstance(owner, dict) else {}


def _may_live(owner: dict[str, Any]) -> bool:
    """Without locks: whether the process that the lock file names may still be there."""
    process = owner.get("process")
    if type(process) is not int or owner.get("host") != socket.gethostname():
        return bool(owner)
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return process != os.getpid()


def _refusal(path: Path, work: str, owner: dict[str, Any], supported: bool) -> str:
    who = f"process {owner.get('process', '?')} on host {owner.get('host', '?')}"
    remedy = "wait for it, or end it" if supported else f"wait for it, or remove {path} if it has ended"
    return f"{work}: {who} does that already, since {owner.get('since', '?')}; {remedy}"
