"""The signals that stop the program. They are raised as exceptions, never lost, and deferred where an exception would do harm."""

import _thread
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

from lba_cli.errors import Terminated

STOP_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
RESEND_SECONDS = 0.05


def handled_signals() -> list[signal.Signals]:
    """Return the stop signals, without SIGHUP if the process was started to ignore it, as with ``nohup``."""
    return [
        n for n in STOP_SIGNALS if n in (signal.SIGINT, signal.SIGTERM) or signal.getsignal(n) is not signal.SIG_IGN
    ]


def can_block_signals() -> bool:
    """Return whether signals can be blocked; on Windows they can't."""
    return hasattr(signal, "pthread_sigmask")


def in_main_thread() -> bool:
    """Return whether this is the main thread, the only one that may set signal handlers."""
    return threading.current_thread() is threading.main_thread()


class StopSignalHandlers:
    """Handlers that raise KeyboardInterrupt for SIGINT and Terminated for others; ``received`` is the first signal or 0."""

    def __init__(self) -> None:
        self.received = 0
        if in_main_thread():
            for number in handled_signals():
                signal.signal(number, self._raise)
            sys.unraisablehook = self._send_again

    def _raise(self, number: int, frame: FrameType | None) -> NoReturn:
        self.received = self.received or number
        raise KeyboardInterrupt if number == signal.SIGINT else Terminated(number)

    def _send_again(self, unraisable: Any) -> None:
        """Send a signal again a moment later if its exception was raised in a destructor, where Python drops exceptions."""
        if not issubclass(unraisable.exc_type, KeyboardInterrupt | Terminated):
            sys.__unraisablehook__(unraisable)
            return
        timer = threading.Timer(RESEND_SECONDS, _thread.interrupt_main, [self.received or signal.SIGINT])
        timer.daemon = True
        timer.start()


def ignore_stop_signals() -> None:
    """Ignore the stop signals from now on; the program is about to end anyway."""
    if in_main_thread():
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)


@contextmanager
def signals_deferred(*, for_children: bool = False) -> Iterator[None]:
    """Defer the stop signals until the end of the block; outside the main thread nothing changes.

    This protects code that an exception could leave in a broken state: PyTorch's C++ writers, and the start of processes.

    Args:
        for_children: whether processes that are started in the block don't receive Ctrl-C, because their parent ends them.
            On Windows, where signals can't be blocked, these processes ignore Ctrl-C once they have started.
    """
    if not in_main_thread():
        yield
        return
    received: list[tuple[int, FrameType | None]] = []
    handlers = {number: signal.signal(number, lambda *args: received.append(args)) for number in handled_signals()}
    try:
        with _blocked({signal.SIGINT} if for_children else set()):
            yield
    finally:
        for deferred, handler in handlers.items():
            signal.signal(deferred, handler)
        for number, frame in received:
            handler = handlers[signal.Signals(number)]
            if callable(handler):
                handler(number, frame)
            elif handler == signal.SIG_DFL:
                signal.raise_signal(number)


@contextmanager
def _blocked(numbers: set[signal.Signals]) -> Iterator[None]:
    """Block signals for this thread and for processes that it starts, where the system can do that."""
    if not can_block_signals():
        yield
        return
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
