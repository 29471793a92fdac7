"""The losses of an epoch. They are read back from the device rarely, summed up, and checked to be finite."""

import math

import torch
from torch import Tensor

from lba_cli import processes
from lba_cli.data.loaders import TrainingBatch, normalize
from lba_cli.errors import TrainingError
from lba_cli.evaluation.network_embedder import exact_inference
from lba_cli.methods import ObjectiveValues
from lba_cli.model import TwoStreamNetwork
from lba_cli.training.state import Progress
from lba_cli.vocabulary import MODALITIES

OVERFLOW = "the network's embeddings are not finite"


class Diverged(TrainingError):
    """Raised when a loss, a weight or an embedding isn't finite.

    Args:
        progress: the position in the run. ``progress.step`` counts the steps done, so it can't stand in for ``step``.
        step: the number of the step to report, from 0: the step that gave the loss, or the last step before the check.
        what: a clause that says what isn't finite.
    """

    def __init__(self, progress: Progress, step: int, what: str) -> None:
        super().__init__(f"training diverged in epoch {progress.epoch}, step {step}: {what}")


class LossMeter:
    """Collects values on the device, and adds them to ``progress.sums`` later, because reading a value is slow."""

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
            Diverged: a value isn't finite.
        """
        progress = self._progress
        of_processes = [rows.tolist() for rows in processes.all_gather(torch.stack(self._pending))]
        self._pending = []
        steps = [_means(rows) for rows in zip(*of_processes, strict=True)]
        for number, row in enumerate(steps, start=progress.step - len(steps)):
            for (group, name), value in zip(self._names, row, strict=True):
                if not math.isfinite(value):
                    what = f"the loss '{name}'" if group == "losses" else f"'{name}'"
                    raise Diverged(progress, number, f"{what} is {value}")
                sums = progress.sums.setdefault(group, {})
                sums[name] = sums.get(name, 0.0) + value
        means = dict(zip(self._names, _means(steps), strict=True))
        return len(steps), {name: mean for (group, name), mean in means.items() if group == "losses"}


def _means(rows: list[list[float]] | tuple[list[float], ...]) -> list[float]:
    """Average rows of numbers, column by column."""
    return [sum(column) / len(rows) for column in zip(*rows, strict=True)]


def require_finite(network: TwoStreamNetwork, progress: Progress, batch: TrainingBatch) -> None:
    """Raise Diverged if a weight, a running statistic or the embedding of an image of ``batch`` isn't finite.

    In training, batch normalisation hides weights that have become huge; in inference they overflow. In a job of several
    processes, all processes call this at the same point.
    """
    step = progress.step - 1
    for name, tensor in network.state_dict().items():
        if not torch.isfinite(tensor).all():
            raise Diverged(progress, step, f"its update made '{name}' infinite or not a number")
    with exact_inference(network) as device:
        images = zip((batch.visible, batch.infrared), MODALITIES, strict=True)
        vectors = [network.embed(normalize(each[:1].to(device)), modality) for each, modality in images]
        overflows = not all(torch.isfinite(vector).all() for vector in vectors)
    if any(processes.all_reduce_max(overflows)):
        raise Diverged(progress, step, OVERFLOW)
