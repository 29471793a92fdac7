"""Ctrl-C and SIGTERM end a run between two steps, so that its state can be saved."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


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
            raise KeyboardInterrupt

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Within the block, which must not change the run's state, the first signal ends the block."""
        self._at_once = True
        try:
            yield
        except KeyboardInterrupt:
            if not self.signal:
                raise
        finally:
            self._at_once = False


@contextmanager
def stop_between_steps() -> Iterator[StopRequest]:
    """Within the block SIGINT and SIGTERM are noted instead of raised (in the main thread; elsewhere nothing changes)."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.signal(number, request.receive) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
