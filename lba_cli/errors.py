"""The errors that the package raises, and how text of unknown origin is quoted in their messages.

The command line prints an :class:`LbaError` as one line and exits with status 2.
"""

import errno
import reprlib

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 80


def quoted(text: object, most: int = 80) -> str:
    """Quote text of unknown origin for a message: on one line, with at most ``most`` characters and no control characters."""
    known = str(text) if isinstance(text, str | int | float | bool | None) else short_repr(text)
    plain = one_line(known[: most + 1])
    return f"'{plain}'" if len(plain) <= most else f"'{plain[:most]}…'"


def printable(text: str) -> str:
    """Replace characters that aren't printable: those in a file name could control the terminal. Line breaks are kept."""
    return "".join(c if c.isprintable() or c == "\n" else "�" for c in text)


def one_line(text: object) -> str:
    """Replace line breaks and characters that aren't printable: those in a file name could control the terminal."""
    return printable(str(text)).replace("\n", "�")


def short_repr(value: object) -> str:
    """Describe a value of unknown origin briefly for a message, even if it is huge, deeply nested or contains itself."""
    try:
        return " ".join(_SHORT.repr(value).split())
    except Exception:  # a number of thousands of digits, or an object whose repr fails
        return f"a {type(value).__name__}"


_MEMORY_AND_FILES = {errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EAGAIN}
_DISK_AND_PERMISSION = {errno.EIO, errno.ESTALE, errno.EACCES, errno.EPERM}


def is_resource_error(problem: BaseException) -> bool:
    """Return whether memory, open files, permissions or the disk made reading a file fail, so that the file may be intact."""
    number = problem.errno if isinstance(problem, OSError) else None
    return isinstance(problem, MemoryError) or number in _MEMORY_AND_FILES | _DISK_AND_PERMISSION


LOST_WORKER = (
    "a process that loads images was killed or ran out of memory, shared memory (in a container: --shm-size) or open files "
    "(ulimit -n); lower data.workers (with 0, the main process loads the images)"
)


class LbaError(Exception):
    """A mistake that the user can correct. The message says what is wrong, where, and what to do."""


class ConfigError(LbaError):
    """A config key that is unknown, or whose value is of the wrong type, out of range, or in conflict with another."""


class DataError(LbaError):
    """A data set or prepared store that is missing, incomplete or malformed."""


class CheckpointError(LbaError):
    """A checkpoint that is missing, damaged, or of another network."""


class ExportError(LbaError):
    """An export that can't be written, or that doesn't compute what the trained network computes."""


class SearchError(LbaError):
    """An index of a gallery that is missing, damaged, or made with another model or modality."""


class TrainingError(LbaError):
    """A training run that can't start or continue."""


class NotFinite(LbaError):
    """A network computed embeddings that are infinite or not numbers. Messages name the network as ``source``."""

    def __init__(self, source: str) -> None:
        super().__init__(
            f"{source} gives values that are not finite: its training diverged (train it again with a lower "
            "train.learning_rate), or its file is damaged"
        )


class LostProcess(LbaError):
    """Another process of the same job has ended too early."""

    def __init__(self, reason: str = "") -> None:
        said = f" ({reason})" if reason else ""
        super().__init__(
            f"another process of this job was killed or failed{said}, so this one can't continue: start the job again (a training "
            "continues from its last checkpoint with lba train --resume)"
        )


class Interrupted(Exception):
    """A signal has stopped the program, after its work so far was saved. ``signal`` is the signal's number."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.signal = number


class Terminated(BaseException):
    """SIGTERM or SIGHUP was received. Like KeyboardInterrupt, this passes through the code that removes half-written files."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = number


class MissingExtra(LbaError):
    """An optional package that a command needs isn't installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"this needs the package '{package}': install the extra '{extra}' (pip install '.[{extra}]' in the source folder)"
        )
