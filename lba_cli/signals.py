"""Signals that end the program: raised as exceptions, never lost, and held back where an exception would do harm."""

from __future__ import annotations

import _thread
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

from lba_cli.errors import Terminated

ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
AGAIN_AFTER = 0.05
Handler = Callable[[int, FrameType | None], Any]


def heard() -> list[signal.Signals]:
    """The ending signals; without SIGHUP where the process was started to ignore it, as ``nohup`` does."""
    return [n for n in ENDING if n in (signal.SIGINT, signal.SIGTERM) or signal.getsignal(n) is not signal.SIG_IGN]


def in_main_thread() -> bool:
    """Whether handlers can be set here."""
    return threading.current_thread() is threading.main_thread()


class Ending:
    """Which signal has asked the program to end, and the handlers that raise it: KeyboardInterrupt, or Terminated.

    Attributes:
        number: of the first signal received; 0 before.
    """

    def __init__(self) -> None:
        self.number = 0
        if in_main_thread():
            for number in heard():
                signal.signal(number, self._raise)
            sys.unraisablehook = self._raise_again

    def _raise(self, number: int, frame: FrameType | None) -> NoReturn:
        self.number = self.number or number
        raise KeyboardInterrupt if number == signal.SIGINT else Terminated(number)

    def _raise_again(self, lost: Any) -> None:
        """An exception in a destructor goes nowhere: send a signal that was lost so once more, a moment later."""
        if not issubclass(lost.exc_type, KeyboardInterrupt | Terminated):
            sys.__unraisablehook__(lost)
            return
        timer = threading.Timer(AGAIN_AFTER, _thread.interrupt_main, [self.number or signal.SIGINT])
        timer.daemon = True
        timer.start()


def ignore_endings() -> None:
    """Let the ending signals do nothing from here on, where the program is about to end anyway."""
    if in_main_thread():
        for number in ENDING:
            signal.signal(number, signal.SIG_IGN)


@contextmanager
def held(*, for_children: bool = False) -> Iterator[None]:
    """Hold the ending signals back for the block, and deliver them after it; in other threads nothing changes.

    For code that an exception at any moment would leave broken: PyTorch's C++ writers, processes half-started. With
    ``for_children`` the processes that start in the block never receive Ctrl-C, so that their parent ends them.
    """
    if not in_main_thread():
        yield
        return
    came: list[tuple[int, FrameType | None]] = []
    handlers = {number: signal.signal(number, lambda *told: came.append(told)) for number in heard()}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT} if for_children else set())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for hushed, handler in handlers.items():
            signal.signal(hushed, handler)
        for number, frame in came:
            _deliver(signal.Signals(number), handlers[signal.Signals(number)], frame)


def _deliver(number: signal.Signals, handler: Any, frame: FrameType | None) -> None:
    if callable(handler):
        handler(number, frame)
    elif handler == signal.SIG_DFL:
        signal.raise_signal(number)
