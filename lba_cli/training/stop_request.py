"""Stop a run between two steps on Ctrl-C, SIGTERM or SIGHUP, so that its state can be saved."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from lba_cli import processes
from lba_cli.errors import Terminated
from lba_cli.signals import handled_signals, in_main_thread


class StopRequest:
    """Records the signal that asks a run to stop: ``signal`` is its number, or 0 if there was none."""

    def __init__(self) -> None:
        self.signal = 0
        self._at_once = False

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal: record the first one; raise an exception at the second one, or within :meth:`at_once`."""
        interrupts = self._at_once or bool(self.signal)
        self.signal = self.signal or number
        if interrupts:
            raise KeyboardInterrupt if number == signal.SIGINT else Terminated(number)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Let the first signal end the block, which must not change the run's state.

        A run in several processes finishes the block first, because the other processes would wait for one that left it.
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
    """Record signals within the block instead of raising exceptions. In a thread other than the main one, do nothing.

    A signal that the process ignored from its start, such as SIGHUP under ``nohup``, is still ignored.
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
