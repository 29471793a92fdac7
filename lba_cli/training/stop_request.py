"""Ctrl-C, SIGTERM and SIGHUP end a run between two steps, so that its state can be saved."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from lba_cli import processes
from lba_cli.errors import Terminated
from lba_cli.signals import handled_signals, in_main_thread


class StopRequest:
    """Whether a signal has asked the run to stop; ``signal`` is its number, or 0."""

    def __init__(self) -> None:
        self.signal = 0
        self._at_once = False

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Note the first signal; a second one interrupts at once."""
        impatient = self._at_once or bool(self.signal)
        self.signal = self.signal or number
        if impatient:
            raise KeyboardInterrupt if number == signal.SIGINT else Terminated(number)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Within the block, which must not change the run's state, the first signal ends the block.

        Where several processes do its work together, they end it: one that left would be waited for.
        """
        self._at_once = processes.current().size == 1
        try:
            yield
        except (KeyboardInterrupt, Terminated):
            if not self.signal:
                raise
        finally:
            self._at_once = False


@contextmanager
def stop_between_steps() -> Iterator[StopRequest]:
    """Within the block the signals are noted instead of raised (in the main thread; elsewhere nothing changes).

    A signal that the process was started to ignore, as ``nohup`` does with SIGHUP, stays ignored.
    """
    request = StopRequest()
    if not in_main_thread():
        yield request
        return
    before = {number: signal.signal(number, request.receive) for number in handled_signals()}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
