"""How the package reports its progress. Nothing below the command line prints; it calls a :class:`Listener`."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TextIO


class Progress(Protocol):
    """The progress of one task."""

    def advance(self, amount: int = 1, **facts: Any) -> None:
        """Report that ``amount`` more units are done; ``facts`` are values to show beside the progress bar, such as losses."""


class Listener(Protocol):
    """Receives messages, warnings and progress."""

    def say(self, message: str) -> None:
        """Receive one line of information."""

    def warn(self, message: str) -> None:
        """Receive a warning: the work continues, but the user should know."""

    def task(self, description: str, total: int | None = None, unit: str = "", done: int = 0) -> Any:
        """Start a task, such as "resizing"; return a context manager that yields a :class:`Progress`.

        ``total`` is the number of units if it is known, ``unit`` their name, such as "images", and ``done`` the number of
        units that were done earlier.
        """


class Silent:
    """A listener that ignores everything."""

    def say(self, message: str) -> None:
        """Ignore a message."""

    def warn(self, message: str) -> None:
        """Ignore a warning."""

    def advance(self, amount: int = 1, **facts: Any) -> None:
        """Ignore progress."""

    @contextmanager
    def task(self, description: str, total: int | None = None, unit: str = "", done: int = 0) -> Iterator[Progress]:
        """Yield a progress that ignores everything."""
        yield self


class JsonLines:
    """A listener that writes each event to ``stream`` as a line of JSON, for programs that watch a run."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def say(self, message: str) -> None:
        """Write ``{"event": "message", …}``."""
        self._write(event="message", text=message)

    def warn(self, message: str) -> None:
        """Write ``{"event": "warning", …}``."""
        self._write(event="warning", text=message)

    @contextmanager
    def task(self, description: str, total: int | None = None, unit: str = "", done: int = 0) -> Iterator[Progress]:
        """Write a ``start`` event, a ``progress`` event for every advance, and an ``end`` event."""
        self._write(event="start", task=description, total=total, unit=unit)
        yield _JsonProgress(self, description, done)
        self._write(event="end", task=description)

    def _write(self, **event: Any) -> None:
        self._stream.write(json.dumps(event) + "\n")
        self._stream.flush()


class _JsonProgress:
    def __init__(self, lines: JsonLines, description: str, done: int) -> None:
        self._lines, self._description, self._done = lines, description, done

    def advance(self, amount: int = 1, **facts: Any) -> None:
        self._done += amount
        self._lines._write(event="progress", task=self._description, done=self._done, **facts)
