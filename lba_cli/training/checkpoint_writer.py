"""Writes a run's records and checkpoints; in a run of several processes, one of them does."""

import time
from collections.abc import Callable
from typing import Any

from lba_cli import processes
from lba_cli.model.checkpoint import Checkpoint, write_checkpoint
from lba_cli.training.run_folder import RunFolder


class CheckpointWriter:
    """Writes records and checkpoints in the writer's process, and does nothing in others.

    Args:
        folder: the run's folder.
        minutes: time between checkpoints within an epoch; None for none.
        make_checkpoint: returns the present state as a checkpoint, with or without what resuming needs.
    """

    def __init__(self, folder: RunFolder, minutes: float | None, make_checkpoint: Callable[[bool], Checkpoint]) -> None:
        self._folder, self._minutes, self._make_checkpoint = folder, minutes, make_checkpoint
        self._writes = processes.current().is_writer
        self._written_at = time.monotonic()

    def is_due(self) -> bool:
        """Whether it is time for a checkpoint within an epoch."""
        if not self._writes or self._minutes is None:
            return False
        return time.monotonic() - self._written_at >= 60 * self._minutes

    def write(self) -> None:
        """Write the present state as the newest checkpoint."""
        if self._writes:
            self._folder.write_last(self._make_checkpoint(True))
        self._written_at = time.monotonic()

    def write_epoch(self, record: dict[str, Any], timing: dict[str, float], *, best: bool) -> None:
        """Write the record of an epoch, its timing and its checkpoint; if it is the ``best``, also the network alone."""
        if self._writes:
            self._folder.append(record)
            if best:
                write_checkpoint(self._folder.best, self._make_checkpoint(False))
        self.write()
        if self._writes:
            self._folder.append_timing(timing)
