"""Losses of an epoch: they are read back from the device rarely, summed up, and refused if they aren't finite."""

import math

import torch
from torch import Tensor, nn

from lba_cli import processes
from lba_cli.errors import TrainingError
from lba_cli.methods import ObjectiveValues
from lba_cli.training.state import Progress

REMEDY = (
    "start a new run with a lower train.learning_rate, a train.clip_grad_norm or train.precision=float32; the last "
    "checkpoint is kept"
)


class LossMeter:
    """Collects values on the device, because reading them waits for it, and adds them to ``progress.sums`` later."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._names: list[tuple[str, str]] = []
        self._pending: list[Tensor] = []

    def add(self, values: ObjectiveValues) -> None:
        """Collect the values of one step."""
        groups = values._asdict()
        self._names = [(group, name) for group, scalars in groups.items() for name in scalars]
        self._pending.append(torch.stack([groups[group][name].detach().float() for group, name in self._names]))

    def read_back(self) -> tuple[int, dict[str, float]]:
        """Read the collected values, and add their means over all processes to the sums of ``progress``.

        Returns:
            The number of collected steps, and the mean of each loss over them.

        Raises:
            TrainingError: a value isn't finite.
        """
        progress = self._progress
        of_processes = [rows.tolist() for rows in processes.all_gather(torch.stack(self._pending))]
        self._pending = []
        steps = [_means(rows) for rows in zip(*of_processes, strict=True)]
        for number, row in enumerate(steps, start=progress.step - len(steps)):
            for (group, name), value in zip(self._names, row, strict=True):
                if not math.isfinite(value):
                    what = f"the loss '{name}'" if group == "losses" else f"'{name}'"
                    raise TrainingError(f"epoch {progress.epoch}, step {number}: {what} is {value}; {REMEDY}")
                sums = progress.sums.setdefault(group, {})
                sums[name] = sums.get(name, 0.0) + value
        means = dict(zip(self._names, _means(steps), strict=True))
        return len(steps), {name: mean for (group, name), mean in means.items() if group == "losses"}


def _means(rows: list[list[float]] | tuple[list[float], ...]) -> list[float]:
    """Average rows of numbers, column by column."""
    return [sum(column) / len(rows) for column in zip(*rows, strict=True)]


def require_finite(network: nn.Module, progress: Progress) -> None:
    """Raise a TrainingError if a weight or a running statistic isn't finite, before the network is saved or evaluated."""
    for name, tensor in network.state_dict().items():
        if not torch.isfinite(tensor).all():
            raise TrainingError(
                f"epoch {progress.epoch}, step {progress.step - 1}: the update made '{name}' infinite or not a number; "
                f"{REMEDY}"
            )
