"""What a person sees: bars on a terminal, plain lines elsewhere, tables of figures. Progress goes to stderr."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from lba_cli.errors import printable
from lba_cli.processes import torchrun_world
from lba_cli.reporting import Silent

if TYPE_CHECKING:
    from lba_cli.reporting import Listener

QUIET_SECONDS = 15.0
FILE_WIDTH = 120
SHORT_NAMES = {
    "identity_consistency_stage3": "ic3",
    "identity_consistency_stage4": "ic4",
    "identity": "id",
    "hard_triplet": "triplet",
    "dense_triplet": "dense",
    "learning_rate": "lr",
}


@cache
def get_console() -> Console:
    """Where results go: stdout; of several processes, one prints them."""
    if not torchrun_world().is_writer:
        return Console(quiet=True)
    console = Console(highlight=False)
    if console.is_terminal or "COLUMNS" in os.environ:
        return console
    return Console(highlight=False, width=FILE_WIDTH)


@cache
def get_listener() -> Listener:
    """The listener that suits stderr: bars on a terminal, lines elsewhere; of several processes, one tells."""
    if not torchrun_world().is_writer:
        return Silent()
    console = _Unbroken(stderr=True, highlight=False)
    return Bars(console) if console.is_terminal else Lines(console)


class _Unbroken(Console):
    """A console whose reader may go away: Rich would end the program then, in the middle of its work."""

    def on_broken_pipe(self) -> None:
        """Go on."""


class Lines:
    """Plain lines, at most one every few seconds for a task."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def say(self, message: str) -> None:
        """Print ``message``; work doesn't stop because nobody can be listener."""
        with suppress(OSError):
            self._console.print(printable(message), markup=False, soft_wrap=True)

    def warn(self, message: str) -> None:
        """Print ``message`` as a warning."""
        self.say(f"warning: {message}")

    @contextmanager
    def task(self, description: str, total: int | None = None, unit: str = "", done: int = 0) -> Iterator[_Line]:
        """Print a line now and then while the work goes on."""
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
    """Bars that live while the work goes on; messages appear above them."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress: Progress | None = None

    def say(self, message: str) -> None:
        """Print ``message`` above the bars."""
        self._console.print(printable(message), markup=False)

    def warn(self, message: str) -> None:
        """Print ``message`` in yellow above the bars."""
        self._console.print(f"warning: {printable(message)}", style="yellow", markup=False)

    @contextmanager
    def task(self, description: str, total: int | None = None, unit: str = "", done: int = 0) -> Iterator[_Bar]:
        """Show a bar for the work; tasks within tasks share one display."""
        outer = self._progress
        progress = outer or Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[facts]}", style="dim"),
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
    """Losses and rates in a line; ``images_a_step`` becomes images a second."""
    words = [f"{SHORT_NAMES.get(name, name)} {value:.3g}" for name, value in facts.items() if name != "images_a_step"]
    if "images_a_step" in facts:
        words.append(f"{facts['images_a_step'] * rate:.0f} images/s")
    return "  ".join(words)


def _time_left(done: int, total: int | None, rate: float) -> str:
    if not total or not rate:
        return ""
    left = round((total - done) / rate)
    return f", {left // 60}:{left % 60:02d} left"
