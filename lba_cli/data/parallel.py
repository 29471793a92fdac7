"""Many independent pieces of work on all cores, without orphans."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import TypeVar

from lba_cli.errors import LbaError

Job = TypeVar("Job")
Result = TypeVar("Result")


def map_chunks(
    function: Callable[[Sequence[Job]], Result], jobs: Sequence[Job], *, workers: int | None = None, chunk: int = 64
) -> Iterator[tuple[int, Result]]:
    """Apply ``function`` to chunks of ``jobs`` in ``workers`` processes (all cores when None; none at all when 0 or 1).

    Yields (number of jobs in the chunk, its result) as chunks are done, in any order; memory stays bounded, because
    only a few chunks are under way. On an interrupt the workers end before the exception leaves.

    Raises:
        LbaError: a worker was killed (by the system for want of memory, say).
    """
    chunks = [jobs[start : start + chunk] for start in range(0, len(jobs), chunk)]
    workers = min(os.cpu_count() or 1 if workers is None else workers, len(chunks))
    if workers <= 1:
        for piece in chunks:
            yield len(piece), function(piece)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN))
    waiting = iter(chunks)
    under_way: dict[Future[Result], int] = {}
    try:
        while True:
            for piece in islice(waiting, 3 * workers - len(under_way)):
                under_way[pool.submit(function, piece)] = len(piece)
            if not under_way:
                return
            for done in wait(under_way, return_when=FIRST_COMPLETED).done:
                yield under_way.pop(done), done.result()
    except BrokenProcessPool as problem:
        raise LbaError("a worker process was killed, perhaps for want of memory; try again with --workers 1") from problem
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
