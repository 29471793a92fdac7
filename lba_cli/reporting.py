"""What the engine says about its progress. Nothing below the command line prints; it talks to a Listener."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TextIO


class Progress(Protocol):
    """A piece of work under way."""

    def advance(self, amount: int = 1, **facts: Any) -> None:
        """Note that ``amount`` more units are done; ``facts`` are shown beside the bar (losses, images/s)."""


class Listener(Protocol):
    """Whoever wants to know."""

    def say(self, message: str) -> None:
        """Receive one line of information."""

    def warn(self, message: str) -> None:
        """Receive one warning: the work goes on, but the user should know."""

    def task(self, description: str, total: int | None = None, unit: str = "", done: int = 0) -> Any:
        """Return a context manager that yields a :class:`Progress` for ``total`` units, ``done`` of them earlier."""


class Silent:
    """Hears everything and says nothing."""

    def say(self, message: str) -> None:
        """Ignore."""

    def warn(self, message: str) -> None:
        """Ignore."""

    def advance(self, amount: int = 1, **facts: Any) -> None:
        """Ignore."""

    @contextmanager
    def task(self, description: str, total: int | None = None, unit: str = "", done: int = 0) -> Iterator[Progress]:
        """Yield a progress that is ignored."""
        yield self


class JsonLines:
    """Writes each event to ``stream`` as one JSON object a line, for programs that watch a run."""

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
        """Write a ``start``, a ``progress`` for every advance, and an ``end``."""
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
