"""What a run writes into its folder; of several processes, one does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from lba_cli import processes
from lba_cli.model.checkpoint import Checkpoint, write_checkpoint
from lba_cli.training.run_folder import RunFolder


class Keeper:
    """Writes records and checkpoints, on the writer; elsewhere it does nothing.

    Args:
        folder: of the run.
        minutes: between checkpoints within an epoch; None for none.
        snapshot: makes the present state, with or without what resuming needs.
    """

    def __init__(self, folder: RunFolder, minutes: float | None, snapshot: Callable[[bool], Checkpoint]) -> None:
        self._folder, self._minutes, self._snapshot = folder, minutes, snapshot
        self._writes = processes.current().is_writer
        self._saved_at = time.monotonic()

    def is_due(self) -> bool:
        """Whether it is time for a checkpoint within an epoch."""
        if not self._writes or self._minutes is None:
            return False
        return time.monotonic() - self._saved_at >= 60 * self._minutes

    def keep(self) -> None:
        """Write the present state as the newest checkpoint."""
        if self._writes:
            self._folder.keep(self._snapshot(True))
        self._saved_at = time.monotonic()

    def keep_epoch(self, record: dict[str, Any], timing: dict[str, float], *, best: bool) -> None:
        """Write an epoch's line, its checkpoint, the network by itself where it is the ``best``, and how long it took."""
        if self._writes:
            self._folder.append(record)
            if best:
                write_checkpoint(self._folder.best, self._snapshot(False))
        self.keep()
        if self._writes:
            self._folder.append_timing(timing)
