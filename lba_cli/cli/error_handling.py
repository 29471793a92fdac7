"""The one place where errors become lines and exit statuses: 0, 2 for a user's mistake, 1 for ours, 128 + signal."""

from __future__ import annotations

import errno
import functools
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NoReturn, TypeVar

import typer

from lba_cli import processes
from lba_cli.errors import LOST_WORKER, Interrupted, LbaError, LostProcess, Terminated, printable
from lba_cli.signals import StopSignalHandlers, ignore_stop_signals

Command = TypeVar("Command", bound=Callable[..., None])
MISTAKE, BUG = 2, 1
OUT_OF = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EMFILE: "too many open files",
    errno.ENFILE: "too many open files",
}
NO_MEMORY = ("Cannot allocate memory", "can't allocate memory", "can't start new thread", "failed to map segment")


@contextmanager
def _alone() -> Iterator[None]:
    if processes.torchrun_world().size > 1:
        raise LbaError(
            "only lba train and lba evaluate share their work among processes: start this one without torchrun"
        )
    yield


def guarded(command: Command, *, distributed: bool = False) -> Command:
    """Wrap a command so that every error becomes one line and an exit status; ``--debug`` shows the traceback.

    Args:
        command: the command.
        distributed: whether several processes started by ``torchrun`` share its work; others refuse to start so.
    """
    company: Callable[[], AbstractContextManager[None]] = processes.process_group if distributed else _alone

    @functools.wraps(command)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        signals = StopSignalHandlers()
        try:
            with company() if processes.torchrun_world().by_torchrun else nullcontext():
                command(*args, **kwargs)
        except (KeyboardInterrupt, Terminated):
            _end(128 + (signals.received or signal.SIGINT), "interrupted")
        except typer.Exit:
            raise
        except Exception as problem:
            made_another = not isinstance(problem, Interrupted | LbaError) or isinstance(problem, LostProcess)
            if signals.received and made_another:  # a library made another of the signal
                _end(128 + signals.received, "interrupted")
            status, message = _explain(problem)
            if kwargs.get("debug") and status in (MISTAKE, BUG):
                raise
            _end(status, message, problem)

    return wrapper  # type: ignore[return-value]


def _explain(problem: Exception) -> tuple[int, str]:
    """The exit status and the line for an exception."""
    if isinstance(problem, Interrupted):
        return 128 + problem.signal, str(problem)
    if isinstance(problem, LbaError):
        return MISTAKE, f"error: {problem}"
    if type(problem).__name__ == "OutOfMemoryError":
        return MISTAKE, (
            "error: the GPU's memory is used up: lower train.identities, train.instances or evaluation.batch_size, "
            "or use --set train.precision=bfloat16 or data.device_cache=false"
        )
    if isinstance(problem, RuntimeError) and str(problem).startswith("DataLoader worker"):  # PyTorch's, at any moment
        return MISTAKE, f"error: {LOST_WORKER}"
    if _is_want_of_memory(problem):
        return MISTAKE, "error: the memory is used up; close other programs, or lower data.workers and the batch's size"
    if isinstance(problem, OSError) and problem.errno in OUT_OF:
        return (
            MISTAKE,
            f"error: {OUT_OF[problem.errno]} ({problem.filename or 'while writing'}); nothing is half-written",
        )
    if isinstance(problem, FileExistsError):
        return (
            MISTAKE,
            f"error: {problem.filename}: exists already; it appeared while this was made, and is left as it is",
        )
    if isinstance(problem, OSError) and problem.filename:
        return MISTAKE, f"error: {problem.filename}: {problem.strerror}"
    return BUG, f"internal error: {type(problem).__name__}: {problem} (--debug shows the traceback; please report it)"


def _is_want_of_memory(problem: Exception) -> bool:
    """Whether the system gave no memory, no thread or no process; PyTorch and the loader of libraries say so in words."""
    if isinstance(problem, MemoryError) or (
        isinstance(problem, OSError) and problem.errno in (errno.ENOMEM, errno.EAGAIN)
    ):
        return True
    return isinstance(problem, RuntimeError | ImportError) and any(sign in str(problem) for sign in NO_MEMORY)


def _end(status: int, message: str, problem: Exception | None = None) -> NoReturn:
    """Print the line and exit; what a stranger's file put into it can't steer the terminal."""
    sys.unraisablehook = lambda _: None  # what destructors have to say after this helps nobody
    if processes.torchrun_world().by_torchrun:  # torchrun ends all as soon as one has ended so
        ignore_stop_signals()
    if processes.should_report(problem):
        typer.echo(printable(message), err=True)
    raise typer.Exit(status)
