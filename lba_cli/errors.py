"""What a user can do wrong. The command line prints each as one line and exits with status 2."""

from __future__ import annotations

import errno
import reprlib

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 80


def quoted(text: object, most: int = 80) -> str:
    """A stranger's text in quotes for a message: on one line, of bounded length, without control characters."""
    known = str(text) if isinstance(text, str | int | float | bool | None) else shown(text)
    plain = printable(known[: most + 1]).replace("\n", "�")
    return f"'{plain}'" if len(plain) <= most else f"'{plain[:most]}…'"


def printable(text: str) -> str:
    """``text`` without what would steer a terminal; file names may hold anything. Line breaks stay."""
    return "".join(c if c.isprintable() or c == "\n" else "�" for c in text)


def shown(value: object) -> str:
    """A stranger's value for a message: of bounded length however large, deep or self-containing it is."""
    try:
        return " ".join(_SHORT.repr(value).split())
    except Exception:  # a number of thousands of digits, or an object that can't be shown
        return f"a {type(value).__name__}"


# What the machine, not the file, is at fault for: the file may be as good as ever.
_MACHINE = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EIO, errno.ESTALE, errno.EACCES, errno.EPERM}


def is_of_the_machine(problem: BaseException) -> bool:
    """Whether reading failed for want of memory, of open files or of a working disk: no reason to call a file damaged."""
    return isinstance(problem, MemoryError) or (isinstance(problem, OSError) and problem.errno in _MACHINE)


LOST_WORKER = (
    "a process that loads images was killed or ran out of memory, shared memory (in a container: --shm-size) or open files "
    "(ulimit -n); lower data.workers, 0 loads in this process"
)


class LbaError(Exception):
    """A mistake that the user can mend; the message says what is wrong, where, and what to do."""


class ConfigError(LbaError):
    """A setting that is unknown, of the wrong type, out of range, or at odds with another."""


class DataError(LbaError):
    """A data set or prepared store that is absent, incomplete or malformed."""


class CheckpointError(LbaError):
    """A file given as a checkpoint that is missing, damaged, or of another network."""


class ExportError(LbaError):
    """An export that can't be written, or that doesn't equal the trained network."""


class SearchError(LbaError):
    """An index of a gallery that is absent, damaged, or of another model or modality than it is asked for."""


class TrainingError(LbaError):
    """A run that can't start, continue, or go on."""


class LostProcess(LbaError):
    """Another process of the same job ended before its time."""

    def __init__(self) -> None:
        super().__init__(
            "another process of this job was killed or failed, so this one can't go on; what was saved is whole, and lba train "
            "--resume goes on from it"
        )


class Interrupted(Exception):
    """A signal asked the program to stop, and what it was doing is saved.

    Attributes:
        signal: the signal's number.
    """

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.signal = number


class Terminated(BaseException):
    """SIGTERM or SIGHUP, raised like KeyboardInterrupt so that what is half-written is removed.

    Attributes:
        signal: the signal's number.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = number


class MissingExtra(LbaError):
    """An optional package that a command needs."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"this needs the package '{package}': install the extra '{extra}' (pip install '.[{extra}]' in the sources)"
        )
