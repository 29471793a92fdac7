"""Losses on their way from the device: read back rarely, summed exactly, and refused when they aren't numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lba_cli import processes
from lba_cli.errors import TrainingError
from lba_cli.training.state import Progress

REMEDY = "start a new run with a lower train.learning_rate or train.precision=float32; the last checkpoint is as it was"


class PendingLosses:
    """Losses of steps whose values are still on the device; reading them back is what waits for it."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._names: list[str] = []
        self._pending: list[Tensor] = []

    def add(self, losses: dict[str, Tensor]) -> None:
        """Take the scalar losses of the step just taken."""
        self._names = list(losses)
        self._pending.append(torch.stack([value.detach().float() for value in losses.values()]))

    def read_back(self) -> tuple[int, dict[str, float]]:
        """Add the pending values, of several processes their means, to the progress's sums.

        Returns:
            How many steps they are, and their means.

        Raises:
            TrainingError: one of them isn't finite.
        """
        each = [rows.tolist() for rows in processes.all_gather(torch.stack(self._pending))]
        self._pending = []
        progress = self._progress
        rows = [[_mean(values) for values in zip(*step, strict=True)] for step in zip(*each, strict=True)]
        for step, row in enumerate(rows, start=progress.step - len(rows)):
            for name, value in zip(self._names, row, strict=True):
                if not math.isfinite(value):
                    raise TrainingError(f"epoch {progress.epoch}, step {step}: the loss '{name}' is {value}; {REMEDY}")
                progress.sums[name] = progress.sums.get(name, 0.0) + value
        columns = zip(*rows, strict=True)
        return len(rows), {name: sum(column) / len(rows) for name, column in zip(self._names, columns, strict=True)}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def require_finite(network: nn.Module, progress: Progress) -> None:
    """Refuse to keep or evaluate a network whose last update broke it.

    Raises:
        TrainingError: a weight or a running statistic isn't finite.
    """
    for name, tensor in network.state_dict().items():
        if not torch.isfinite(tensor).all():
            raise TrainingError(
                f"epoch {progress.epoch}, step {progress.step - 1}: its update made '{name}' infinite or not a number; "
                f"{REMEDY}"
            )
