"""What a user can do wrong. The command line prints each as one line and exits with status 2."""

from __future__ import annotations


def quoted(text: object, most: int = 80) -> str:
    """A stranger's text in quotes for a message: on one line, of bounded length, without control characters."""
    shown = "".join(c if c.isprintable() else "�" for c in str(text)[: most + 1])
    return f"'{shown}'" if len(shown) <= most else f"'{shown[:most]}…'"


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
