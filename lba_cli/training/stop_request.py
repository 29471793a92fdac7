"""Stopping a run between two steps at Ctrl-C, SIGTERM or SIGHUP, so that its state can be saved."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from lba_cli import processes
from lba_cli.errors import Terminated
from lba_cli.signals import handled_signals, in_main_thread


class StopRequest:
    """Notes in ``signal`` the number of the signal that has asked the run to stop; 0 if none has come."""

    def __init__(self) -> None:
        self.signal = 0
        self._at_once = False

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal: note the first one; interrupt at the second one, or within :meth:`at_once`."""
        interrupts = self._at_once or bool(self.signal)
        self.signal = self.signal or number
        if interrupts:
            raise KeyboardInterrupt if number == signal.SIGINT else Terminated(number)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Let the first signal end the block, which must not change the run's state.

        Several processes finish the block instead, because the others would wait for one that left it.
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
    """Note signals within the block instead of raising them. In a thread other than the main one, nothing changes.

    A signal that the process was started to ignore stays ignored, as SIGHUP under ``nohup``.
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
