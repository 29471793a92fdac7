"""One update of the network: forward pass, backward pass, optimizer."""

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext

import torch
from torch import nn

from lba_cli.alignment import Pairs
from lba_cli.compute import mixed_precision
from lba_cli.config import TrainSection
from lba_cli.data.loaders import TrainingBatch, normalize
from lba_cli.methods import Objective, ObjectiveValues
from lba_cli.model import TwoStreamNetwork
from lba_cli.training.distributed import averaged_objective, gradients_kept_here
from lba_cli.training.schedule import parameter_groups, rate_factor


class TrainingStep:
    """Updates a network, one batch at a time, without waiting for the device; the caller enters ``compute.arithmetic``.

    Args:
        network: the network, on ``device``.
        recipe: the optimizer's options, the precision, and the largest norm of a gradient.

    Attributes:
        optimizer: SGD with Nesterov momentum and weight decay (paper, section 4.1).
        evaluate: the objective as a function of a batch, see :func:`~lba_cli.training.distributed.averaged_objective`.
    """

    def __init__(
        self, network: TwoStreamNetwork, objective: Objective, recipe: TrainSection, device: torch.device
    ) -> None:
        self.network, self._recipe, self._device = network, recipe, device
        groups = parameter_groups(network, recipe.learning_rate, recipe.backbone_lr_multiplier)
        self._parameters = [parameter for group in groups for parameter in group["params"]]
        self.optimizer = torch.optim.SGD(
            groups,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            nesterov=recipe.momentum > 0,
            fused=True,
        )
        self.evaluate = averaged_objective(network, objective)

    def __call__(self, batch: TrainingBatch, draw_pairs: Callable[[], tuple[Pairs, Pairs]]) -> ObjectiveValues:
        """Update the network.

        With ``train.accumulate`` the batch is computed in parts of as many identities each, whose gradients are averaged.

        Args:
            batch: images and labels, on any device.
            draw_pairs: draws each image's partners in a part, for layer3 and layer4; called once per part, by methods that align.

        Returns:
            The objective's values before the update, on the device. The diagnostics include ``gradient_norm``, the L2 norm of
            the gradient before it is clipped.
        """
        self.optimizer.zero_grad(set_to_none=True)
        count = self._recipe.accumulate
        overlapped = (
            self._device.type == "cuda"
        )  # on Apple's GPUs, a copy may read memory that has been freed meanwhile
        batch = TrainingBatch(*(each.to(self._device, non_blocking=overlapped) for each in batch))
        found = []
        for number, part in enumerate(batch.parts(count), start=1):
            with nullcontext() if number == count else gradients_kept_here(self.evaluate):
                found.append(self._add_gradient(part, draw_pairs, share=1 / count))
        values = found[0] if count == 1 else _mean(found)
        # Without a limit the gradient is multiplied by exactly 1, which changes no bit.
        norm = nn.utils.clip_grad_norm_(self._parameters, self._recipe.clip_grad_norm or math.inf)
        self.optimizer.step()
        return values._replace(diagnostics={**values.diagnostics, "gradient_norm": norm})

    def _add_gradient(
        self, part: TrainingBatch, draw_pairs: Callable[[], tuple[Pairs, Pairs]], *, share: float
    ) -> ObjectiveValues:
        """Compute the objective of a part of the batch, and add ``share`` of its gradient to the parameters'."""
        visible, infrared = (normalize(images) for images in part[:2])
        with mixed_precision(self._recipe.precision, self._device):
            values = self.evaluate(visible, infrared, part.labels, draw_pairs)
        total = values.losses["total"]
        (total if share == 1 else share * total).backward()  # type: ignore[no-untyped-call]
        # Only the numbers are kept, so that the part's activations are freed before the next part.
        return ObjectiveValues(*({name: value.detach() for name, value in group.items()} for group in values))

    def set_learning_rates(self, epoch: int) -> None:
        """Set the learning rates of ``epoch``, counted from 0."""
        factor = rate_factor(epoch, self._recipe.warmup_epochs, self._recipe.milestones)
        for group in self.optimizer.param_groups:
            group["lr"] = group["base_lr"] * factor

    @property
    def learning_rate(self) -> float:
        """The current learning rate of neck and classifier."""
        rate: float = self.optimizer.param_groups[-1]["lr"]
        return rate


def _mean(values: Sequence[ObjectiveValues]) -> ObjectiveValues:
    """Average the values of a batch's parts, name by name."""
    groups = zip(*values, strict=True)
    return ObjectiveValues(
        *({name: torch.stack([part[name] for part in parts]).mean() for name in parts[0]} for parts in groups)
    )
