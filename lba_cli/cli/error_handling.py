"""Turn errors into one line and an exit status: 2 for a user's mistake, 1 for a bug, 128 + n after signal n."""

import errno
import functools
import signal
import sys
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, NoReturn, TypeVar

import typer

from lba_cli import processes
from lba_cli.errors import LOST_WORKER, Interrupted, LbaError, LostProcess, Terminated, printable
from lba_cli.signals import StopSignalHandlers, ignore_stop_signals

Command = TypeVar("Command", bound=Callable[..., None])
MISTAKE, BUG = 2, 1
EXHAUSTED = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EMFILE: "too many open files",
    errno.ENFILE: "too many open files",
}
# What Apple's GPUs, CUDA itself, cuBLAS and cuDNN say; PyTorch's allocator has an exception of its own.
NO_GPU_MEMORY = ("MPS backend out of memory", "CUDA error: out of memory", "_ALLOC_FAILED", "DEVICE_ALLOCATION_FAILED")
NO_MEMORY = ("Cannot allocate memory", "can't allocate memory", "can't start new thread", "failed to map segment")


def guarded(command: Command, *, distributed: bool = False) -> Command:
    """Wrap a command so that every error becomes one line and an exit status. ``--debug`` shows the traceback.

    If ``distributed`` is true, the command may run in several processes under ``torchrun``.
    """

    @functools.wraps(command)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        signals = StopSignalHandlers()
        try:
            world = processes.torchrun_world()
            if world.by_torchrun and world.size > 1 and not distributed:
                raise LbaError(
                    "only lba train, evaluate, embed and search build run in several processes: start this command without "
                    "torchrun"
                )
            with processes.process_group() if world.by_torchrun and distributed else nullcontext():
                command(*args, **kwargs)
        except (KeyboardInterrupt, Terminated):
            _end(128 + (signals.received or signal.SIGINT), "interrupted")
        except typer.Exit:
            raise
        except Exception as problem:
            from_library = not isinstance(problem, Interrupted | LbaError) or isinstance(problem, LostProcess)
            if signals.received and from_library:  # a library turned the signal into an error of its own
                _end(128 + signals.received, "interrupted")
            status, message = _explain(problem)
            if kwargs.get("debug") and status in (MISTAKE, BUG):
                raise
            _end(status, message, problem)

    return wrapper  # type: ignore[return-value]


def _explain(problem: Exception) -> tuple[int, str]:
    """Return the exit status and the one-line message for an exception."""
    if isinstance(problem, Interrupted):
        return 128 + problem.signal, str(problem)
    if isinstance(problem, LbaError):
        return MISTAKE, f"error: {problem}"
    if isinstance(problem, NotImplementedError) and "MPS" in str(problem):
        reason = " ".join(str(problem).split(". ")[0].split())
        return MISTAKE, f"error: {reason}: use run.device=cpu, or set PYTORCH_ENABLE_MPS_FALLBACK=1"
    if type(problem).__name__ == "OutOfMemoryError" or any(words in str(problem) for words in NO_GPU_MEMORY):
        return MISTAKE, (
            "error: the GPU's memory is used up: close other programs on it, or compute with run.device=cpu. For a training, raise "
            "train.accumulate, set train.checkpoint_activations=true, lower train.identities or train.instances, or use "
            "train.precision=bfloat16 or data.device_cache=false"
        )
    if isinstance(problem, RuntimeError) and str(problem).startswith("DataLoader worker"):  # raised by PyTorch
        return MISTAKE, f"error: {LOST_WORKER}"
    if _is_out_of_memory(problem):
        return MISTAKE, "error: the memory is used up: close other programs, or lower data.workers and the batch size"
    if isinstance(problem, OSError) and problem.errno in EXHAUSTED:
        return (
            MISTAKE,
            f"error: {EXHAUSTED[problem.errno]} ({problem.filename or 'while writing'}); no incomplete file is left",
        )
    if isinstance(problem, FileExistsError):
        return MISTAKE, f"error: {problem.filename}: exists already: it appeared during the work and was not replaced"
    if isinstance(problem, OSError) and problem.filename:
        return MISTAKE, f"error: {problem.filename}: {problem.strerror}"
    return BUG, f"internal error: {type(problem).__name__}: {problem} (--debug shows the traceback; please report it)"


def _is_out_of_memory(problem: Exception) -> bool:
    """Return whether the system refused memory, a thread or a process. Some libraries report this only in the message."""
    if isinstance(problem, MemoryError) or (
        isinstance(problem, OSError) and problem.errno in (errno.ENOMEM, errno.EAGAIN)
    ):
        return True
    return isinstance(problem, RuntimeError | ImportError) and any(words in str(problem) for words in NO_MEMORY)


def _end(status: int, message: str, problem: Exception | None = None) -> NoReturn:
    """Print ``message`` without control characters, which may come from a file, and exit with ``status``."""
    sys.unraisablehook = lambda _: None  # errors in destructors would be printed after the message
    if processes.torchrun_world().by_torchrun:  # torchrun stops the other processes as soon as one has failed
        ignore_stop_signals()
    if processes.should_report(problem):
        typer.echo(printable(message), err=True)
    raise typer.Exit(status)
