"""Many independent pieces of work on all cores, in processes that never outlive their parent."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from itertools import islice
from typing import TypeVar

from lba_cli.errors import LbaError
from lba_cli.signals import signals_deferred

Job = TypeVar("Job")
Result = TypeVar("Result")


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def map_chunks(
    function: Callable[[Sequence[Job]], Result], jobs: Sequence[Job], *, workers: int | None = None, chunk: int = 32
) -> Iterator[Iterator[tuple[int, Result]]]:
    """Apply ``function`` to chunks of ``jobs`` in ``workers`` processes (as many as cores when None, this one when 1).

    The block iterates over (number of jobs in the chunk, its result) as chunks are done, in any order; memory stays
    bounded, because only a few chunks are under way. ``function`` and the jobs must be picklable. Whatever stops the
    block, Ctrl-C included, ends the processes before the exception leaves it.

    Raises:
        LbaError: a worker was killed (by the system for want of memory, say).
    """
    with closing(_mapped(function, jobs, workers, chunk)) as results:
        yield results


def _mapped(
    function: Callable[[Sequence[Job]], Result], jobs: Sequence[Job], workers: int | None, chunk: int
) -> Generator[tuple[int, Result]]:
    chunks = [jobs[start : start + chunk] for start in range(0, len(jobs), chunk)]
    workers = min(workers or cores(), len(chunks))
    if workers <= 1:
        for piece in chunks:
            yield len(piece), function(piece)
        return
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_prepare_worker)
    waiting = iter(chunks)
    under_way: dict[Future[Result], int] = {}
    try:
        while True:
            with signals_deferred(for_children=True):
                for piece in islice(waiting, 3 * workers - len(under_way)):
                    under_way[pool.submit(function, piece)] = len(piece)
            if not under_way:
                return
            for done in wait(under_way, return_when=FIRST_COMPLETED).done:
                yield under_way.pop(done), done.result()
    except BaseException as problem:
        for worker in set(multiprocessing.active_children()) - others:
            worker.kill()  # it would finish its chunks first; what it has half-done is thrown away anyhow
        if not isinstance(problem, BrokenProcessPool):
            raise
        raise LbaError(
            "a worker process was killed, perhaps for want of memory; try again with --workers 1"
        ) from problem
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _prepare_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_parent, daemon=True).start()


def _end_with_the_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
