"""Ours and the plain way side by side in one run, alternating, so that what else the machine does meets both."""

from __future__ import annotations

import contextlib
import os
import statistics
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch


@dataclass
class Side:
    """What was seen of one way: seconds of each round, and the most memory that it took beyond what there was, in GB."""

    seconds: list[float] = field(default_factory=list)
    memory: float = 0.0


@dataclass
class Case:
    """A line of the table."""

    name: str
    ours: Side
    plain: Side
    images: int = 0
    note: str = ""

    @property
    def ratios(self):
        """How many times as long the plain way took, in each round."""
        return [plain / ours for ours, plain in zip(self.ours.seconds, self.plain.seconds, strict=True)]

    def row(self):
        """As Markdown."""
        sides, seen = [], self.ours.memory and self.plain.memory  # or one was over too soon to compare
        for side in (self.ours, self.plain):
            median = statistics.median(side.seconds)
            speed = f" ({self.images / median:.0f} images/s)" if self.images else ""
            memory = f", {side.memory:.2f} GB" if seen else ""
            sides.append(f"{_time(median)}{speed}{memory}")
        ratios = self.ratios
        spread = f"{min(ratios):.1f}–{max(ratios):.1f}" if len(ratios) > 1 else "one round"
        spread = f"{statistics.median(ratios):.1f}× ({spread})"
        return f"| {self.name} | {spread} | {sides[0]} | {sides[1]} | {self.note} |"


TABLE = []
HEADER = "| case | ratio (spread) | ours: time, memory | plain | |\n| --- | --- | --- | --- | --- |"


def side_by_side(name, ours, plain, *, rounds=3, warm_up=True, images=0, note="", prepare=lambda: None):
    """Time both ways ``rounds`` times, alternating, and add a line to the table.

    ``prepare`` runs before each and is not timed; the warm-up round is not counted.
    """
    case = Case(name, Side(), Side(), images, note)
    for number in range(-1 if warm_up else 0, rounds):
        for way, side in ((ours, case.ours), (plain, case.plain)):
            prepare()
            with peak_memory() as peak:
                _finish()
                started = time.perf_counter()
                way()
                _finish()
                seconds = time.perf_counter() - started
            if number >= 0:
                side.seconds.append(seconds)
                side.memory = max(side.memory, peak[0])
    TABLE.append(case)
    return case


def _finish():
    if torch.cuda.is_available():
        torch.cuda.synchronize()


@contextlib.contextmanager
def peak_memory(interval=1.0):
    """A list whose item becomes the most memory (GB) that this process and its children had at once, beyond what it has now.

    It is looked at every ``interval`` seconds: of what is over before, nothing is known, and it stays zero.
    """
    peak, stop, before = [0.0], threading.Event(), _private(os.getpid())

    def watch():
        while not stop.wait(interval):
            peak[0] = max(peak[0], (sum(map(_private, _family(os.getpid()))) - before) / 1e9)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        stop.set()
        watcher.join()


def _family(process):
    yield process
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{process}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from _family(int(child))


def _private(process):
    """Bytes of memory that aren't a mapped file's, which can be dropped; what processes share is shared out among them."""
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()[1:]
        fields = dict(line.split(":", 1) for line in lines)
        return sum(1024 * int(fields.get(name, "0 kB").split()[0]) for name in ("Pss_Anon", "Pss_Shmem"))
    return 0


def _time(seconds):
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1000 * seconds:.1f} ms"
