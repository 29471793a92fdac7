"""Work spread over processes that never outlive their parent."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import TypeVar

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def spread(function: Callable[[_Task], _Result], tasks: Sequence[_Task], workers: int) -> Iterator[_Result]:
    """Yield ``function``'s results in any order, computed by ``workers`` processes (with 1: in this one).

    ``function`` and the tasks must be picklable. Whatever stops the caller, Ctrl-C included, stops the processes.
    """
    workers = min(workers, len(tasks))
    if workers <= 1:
        yield from map(function, tasks)
        return
    with _interrupts_for_the_parent_alone():
        pool = multiprocessing.get_context("spawn").Pool(workers, _prepare_worker)
    try:
        yield from pool.imap_unordered(function, tasks)
        pool.close()
    finally:
        pool.terminate()
        pool.join()


@contextmanager
def _interrupts_for_the_parent_alone() -> Iterator[None]:
    """Processes started inside ignore Ctrl-C from their first instruction on; the parent ends them itself."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _prepare_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_parent, daemon=True).start()


def _end_with_the_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
