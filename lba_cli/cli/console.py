"""Output for users: results go to stdout. Progress goes to stderr, as bars on a terminal and as plain lines elsewhere."""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from lba_cli.cli.streams import drop_output
from lba_cli.errors import one_line, printable
from lba_cli.processes import torchrun_world
from lba_cli.reporting import Silent

if TYPE_CHECKING:
    from lba_cli.reporting import Listener

QUIET_SECONDS = 15.0  # between two progress lines of one task
FILE_WIDTH = 120  # characters, of tables that are redirected to a file
# Text is shown unchanged: file names may look like Rich's markup, or like its emoji codes (``:smile:.png``).
LITERAL: dict[str, Any] = {"highlight": False, "markup": False, "emoji": False}


@cache
def get_console() -> Console:
    """Return the console for results, on stdout. Under ``torchrun`` only one process prints."""
    if not torchrun_world().is_writer:
        return Console(quiet=True)
    console = _ResultsConsole(**LITERAL)
    if console.is_terminal or "COLUMNS" in os.environ:
        return console
    return _ResultsConsole(**LITERAL, width=FILE_WIDTH)


@cache
def get_listener() -> Listener:
    """Return the listener for stderr: bars on a terminal, lines elsewhere. Under ``torchrun`` only one process writes."""
    if not torchrun_world().is_writer:
        return Silent()
    console = _UnbreakableConsole(stderr=True, **LITERAL)
    return Bars(console) if console.is_terminal else Lines(console)


def print_line(text: str) -> None:
    """Print a line of a command's result, without wrapping it or interpreting markup in it."""
    get_console().print(printable(text), soft_wrap=True)


class _ResultsConsole(Console):
    """A console that lets the command continue if the reader of stdout closes it, as ``head`` does."""

    def on_broken_pipe(self) -> None:
        """Print nothing more. Rich's own method would end the program."""
        self.quiet = True
        drop_output()


class _UnbreakableConsole(Console):
    """A console that ignores a closed output pipe. Rich's own console would exit in the middle of the work."""

    def on_broken_pipe(self) -> None:
        """Do nothing. Rich's own method would end the program."""


class Lines:
    """A listener that prints messages and progress as plain lines."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def say(self, message: str) -> None:
        """Print ``message``. A closed stderr doesn't stop the work."""
        with suppress(OSError):
            self._console.print(one_line(message), soft_wrap=True)

    def warn(self, message: str) -> None:
        """Print ``message`` as a warning."""
        self.say(f"warning: {message}")

    @contextmanager
    def task(self, description: str, total: int | None = None, unit: str = "", done: int = 0) -> Iterator[_Line]:
        """Print a progress line every few seconds, see :meth:`lba_cli.reporting.Listener.task`."""
        yield _Line(self, description, total, unit, done)


class _Line:
    def __init__(self, lines: Lines, description: str, total: int | None, unit: str, earlier: int) -> None:
        self._lines, self._description, self._total, self._unit = lines, description, total, unit
        self._done, self._earlier, self._started = earlier, earlier, time.monotonic()
        self._spoke = self._started

    def advance(self, amount: int = 1, **facts: Any) -> None:
        self._done += amount
        now = time.monotonic()
        if now - self._spoke >= QUIET_SECONDS:
            self._spoke = now
            of = f"/{self._total}" if self._total else ""
            rate = (self._done - self._earlier) / (now - self._started)
            shown, left = describe(facts, rate), _time_left(self._done, self._total, rate)
            self._lines.say(f"{self._description}: {self._done}{of} {self._unit}{left} {shown}".rstrip())


class Bars:
    """A listener that shows progress bars, with messages above them."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress: Progress | None = None

    def say(self, message: str) -> None:
        """Print ``message`` above the bars."""
        self._console.print(one_line(message))

    def warn(self, message: str) -> None:
        """Print ``message`` in yellow above the bars."""
        self._console.print(f"warning: {one_line(message)}", style="yellow")

    @contextmanager
    def task(self, description: str, total: int | None = None, unit: str = "", done: int = 0) -> Iterator[_Bar]:
        """Show a progress bar, see :meth:`lba_cli.reporting.Listener.task`. A nested task shares the outer task's display."""
        outer = self._progress
        progress = outer or Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[facts]}", style="dim", markup=False),
            console=self._console,
            transient=True,
        )
        if outer is None:
            self._progress = progress
            progress.start()
        number = progress.add_task(description, total=total, completed=done, facts=unit)
        try:
            yield _Bar(progress, number, unit)
        finally:
            progress.remove_task(number)
            if outer is None:
                progress.stop()
                self._progress = None


class _Bar:
    def __init__(self, progress: Progress, number: TaskID, unit: str) -> None:
        self._progress, self._number, self._unit = progress, number, unit
        self._started, self._done = time.monotonic(), 0

    def advance(self, amount: int = 1, **facts: Any) -> None:
        self._done += amount
        rate = self._done / max(time.monotonic() - self._started, 1e-9)
        self._progress.update(self._number, advance=amount, facts=describe(facts, rate) or self._unit)


def describe(facts: dict[str, Any], rate: float) -> str:
    """Format ``facts`` as one line, such as ``identity 5.98  ht 0.31  total 6.29``.

    Args:
        facts: values by name. ``images_a_step`` is shown as images per second.
        rate: steps per second.
    """
    shown = {name: value for name, value in facts.items() if name != "images_a_step"}
    words = [f"{label} {shown[name]:.3g}" for name, label in short_labels(shown).items()]
    if "images_a_step" in facts:
        words.append(f"{facts['images_a_step'] * rate:.0f} images/s")
    return "  ".join(words)


def short_labels(names: Iterable[str]) -> dict[str, str]:
    """Return a label for each name.

    Names of several words are abbreviated to their initials, unless two names would get the same label.

    Example:
        >>> short_labels(["identity", "identity_consistency_stage3", "learning_rate"])
        {'identity': 'identity', 'identity_consistency_stage3': 'ics3', 'learning_rate': 'lr'}
    """
    labels = {name: re.sub(r"([a-z])[a-z]*_?", r"\1", name) if "_" in name else name for name in names}
    counts = Counter(labels.values())
    return {name: label if counts[label] == 1 else name for name, label in labels.items()}


def _time_left(done: int, total: int | None, rate: float) -> str:
    if not total or not rate:
        return ""
    left = round((total - done) / rate)
    return f", {left // 60}:{left % 60:02d} left"
