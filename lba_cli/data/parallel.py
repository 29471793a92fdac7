"""Apply a function to many jobs on all cores, in worker processes that never outlive their parent, or in threads."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from itertools import islice
from typing import TypeVar

from lba_cli.errors import LbaError
from lba_cli.signals import can_block_signals, signals_deferred

Job = TypeVar("Job")
Result = TypeVar("Result")


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_chunks(
    function: Callable[[Sequence[Job]], Result], jobs: Sequence[Job], *, workers: int | None = None, chunk: int = 32
) -> closing[Generator[tuple[int, Result]]]:
    """Apply ``function`` to chunks of ``jobs`` in several processes.

    Where signals can't be blocked (on Windows), Ctrl-C could reach a worker process before it ignores the signal. There,
    ``function`` runs in threads instead. Threads run in parallel for most of the time of decoding and resizing an image.

    The result is a context manager that yields an iterator over (number of jobs in a chunk, the chunk's result), in the order
    in which chunks are finished. Only a few chunks are in progress at a time, so that memory stays bounded. If an exception
    such as Ctrl-C ends the ``with`` block, the processes are ended first.

    Args:
        function: called with a chunk of jobs; it must be picklable, and so must jobs and results.
        jobs, chunk: the jobs, and the number of jobs in a chunk.
        workers: number of processes; one per core if None. With 1, everything runs in this process.

    Raises:
        LbaError: a worker process was killed, for example by the system because memory ran out.
    """
    return closing(_mapped(function, jobs, workers, chunk))


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
    pool = _make_pool(workers)
    waiting = iter(chunks)
    in_progress: dict[Future[Result], int] = {}
    try:
        while True:
            with signals_deferred(for_children=True):
                for piece in islice(waiting, 3 * workers - len(in_progress)):
                    in_progress[pool.submit(function, piece)] = len(piece)
            if not in_progress:
                return
            for done in wait(in_progress, return_when=FIRST_COMPLETED).done:
                yield in_progress.pop(done), done.result()
    except BaseException as problem:
        for worker in set(multiprocessing.active_children()) - others:
            worker.kill()  # otherwise it would first finish its chunks, although the results aren't needed any more
        if not isinstance(problem, BrokenProcessPool):
            raise
        raise LbaError(
            "a worker process was killed, perhaps because memory ran out; try again with --workers 1"
        ) from problem
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _make_pool(workers: int) -> Executor:
    if not can_block_signals():
        return ThreadPoolExecutor(workers)
    return ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_prepare_worker)


def _prepare_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_exit_with_the_parent, daemon=True).start()


def _exit_with_the_parent() -> None:
    """Wait until the parent process ends, however it ends, and end this process as well."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
