"""Time the toolkit and the plain way in turns, so that other load on the machine affects both alike."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import statistics
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch


@dataclass
class Side:
    """The measurements of one way: the seconds of each round, and the most memory (GB) beyond that before its first round."""

    seconds: list[float] = field(default_factory=list)
    memory: float = 0.0
    began: float | None = None


@dataclass
class Case:
    """A row of the table."""

    name: str
    ours: Side
    plain: Side
    images: int = 0
    note: str = ""

    @property
    def ratios(self):
        """The time of the plain way divided by ours, round by round."""
        return [plain / ours for ours, plain in zip(self.ours.seconds, self.plain.seconds, strict=True)]

    def row(self):
        """Format the row as Markdown."""
        sides, seen = [], self.ours.memory and self.plain.memory  # one way may end before its memory is sampled
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
    """Time both ways in turns, ``rounds`` times each, and add a row to the table.

    Neither ``prepare``, which runs before every round, nor the warm-up round is timed. A way may allocate memory in the
    warm-up round and keep it. Memory is counted from before a way's first round, which is exact for an :class:`OwnProcess`.
    """
    case = Case(name, Side(), Side(), images, note)
    for number in range(-1 if warm_up else 0, rounds):
        for way, side in ((ours, case.ours), (plain, case.plain)):
            prepare()
            with peak_memory(getattr(way, "number", os.getpid())) as peak:
                _finish()
                started = time.perf_counter()
                way()
                _finish()
                seconds = time.perf_counter() - started
            if number >= 0:
                side.seconds.append(seconds)
            side.began = peak.before if side.began is None else side.began
            side.memory = max(side.memory, peak.most - side.began)
    TABLE.append(case)
    return case


class OwnProcess:
    """Runs one way in a process of its own, so that its settings of the C library's allocator don't affect the other.

    Args:
        make: returns the function to time; called once, in that process.

    Attributes:
        number: the process's number, once it has started.
    """

    def __init__(self, make):
        context = multiprocessing.get_context("spawn")
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(make, theirs), daemon=True)

    def __enter__(self):
        self._process.start()
        assert self._ours.recv() == "made"
        self.number = self._process.pid
        return self

    def __call__(self):
        self._ours.send("go")
        assert self._ours.recv() == "done"

    def __exit__(self, *_):
        self._ours.close()
        self._process.join()


def _serve(make, pipe):
    way = make()
    pipe.send("made")
    with contextlib.suppress(EOFError):
        while pipe.recv():
            way()
            pipe.send("done")


def _finish():
    if torch.cuda.is_available():
        torch.cuda.synchronize()


@dataclass
class Peak:
    """Memory in GB: before the block, and its maximum within."""

    before: float
    most: float


@contextlib.contextmanager
def peak_memory(process, interval=1.0):
    """Measure the most memory that the process and its children have at one time within the block.

    Memory is sampled every ``interval`` seconds, so a shorter block isn't measured.
    """
    before = _memory(process)
    peak, stop = Peak(before, before), threading.Event()

    def watch():
        while not stop.wait(interval):
            peak.most = max(peak.most, _memory(process))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        stop.set()
        watcher.join()


def _memory(process):
    return sum(map(_private, _family(process))) / 1e9


def _family(process):
    yield process
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{process}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from _family(int(child))


def _private(process):
    """Count the bytes of a process's memory without those of mapped files; shared memory is divided among its processes."""
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()[1:]
        fields = dict(line.split(":", 1) for line in lines)
        return sum(1024 * int(fields.get(name, "0 kB").split()[0]) for name in ("Pss_Anon", "Pss_Shmem"))
    return 0


def _time(seconds):
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1000 * seconds:.1f} ms"
