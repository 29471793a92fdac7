"""The one place where errors become lines and exit statuses: 0, 2 for a user's mistake, 1 for ours, 128 + signal."""

from __future__ import annotations

import errno
import functools
import signal
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn, TypeVar

import typer

from lba_cli.errors import Interrupted, LbaError

Command = TypeVar("Command", bound=Callable[..., None])
MISTAKE, BUG = 2, 1
OUT_OF = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EMFILE: "too many open files",
}


class Terminated(BaseException):
    """SIGTERM, raised like KeyboardInterrupt so that what is half-written is removed."""


def guarded(command: Command) -> Command:
    """Wrap a command so that what goes wrong in it is told in one line; with ``--debug`` as a traceback."""

    @functools.wraps(command)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        signal.signal(signal.SIGTERM, _terminate)
        try:
            command(*args, **kwargs)
        except (KeyboardInterrupt, Terminated) as stop:
            _end(128 + (signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT), "interrupted")
        except typer.Exit:
            raise
        except Exception as problem:
            status, message = _explain(problem)
            if kwargs.get("debug") and status in (MISTAKE, BUG):
                raise
            _end(status, message)

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
            "or use --set train.precision=bfloat16"
        )
    if isinstance(problem, OSError) and problem.errno in OUT_OF:
        return (
            MISTAKE,
            f"error: {OUT_OF[problem.errno]} ({problem.filename or 'while writing'}); nothing is half-written",
        )
    if isinstance(problem, OSError) and problem.filename:
        return MISTAKE, f"error: {problem.filename}: {problem.strerror}"
    return BUG, f"internal error: {type(problem).__name__}: {problem} (--debug shows the traceback; please report it)"


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    raise Terminated


def _end(status: int, message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(status)
