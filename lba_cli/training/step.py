"""One update of a network: forward, backward, and the optimizer's."""

from __future__ import annotations

import torch
from torch import Tensor

from lba_cli.alignment import Pairs
from lba_cli.compute import mixed_precision
from lba_cli.config import TrainSection
from lba_cli.data.loaders import TrainingBatch, normalize
from lba_cli.methods.objective import Objective
from lba_cli.model import TwoStreamNetwork
from lba_cli.training.distributed import losses_of
from lba_cli.training.schedule import parameter_groups, rate_factor


class TrainingStep:
    """Takes steps on ``device`` within :func:`lba_cli.compute.arithmetic`; nothing in it waits for the device.

    Args:
        network: on the device.
        objective: whose total loss is minimised; kept as an attribute.
        recipe: the optimizer's settings and the precision.
        device: a GPU or the CPU.

    Attributes:
        optimizer: SGD with the recipe's momentum (Nesterov's) and weight decay (paper, section 4.1).
        losses_of: the objective of the network, see :func:`~lba_cli.training.distributed.losses_of`.
    """

    def __init__(
        self, network: TwoStreamNetwork, objective: Objective, recipe: TrainSection, device: torch.device
    ) -> None:
        self.objective, self._recipe, self._device = objective, recipe, device
        self.optimizer = torch.optim.SGD(
            parameter_groups(network, recipe.learning_rate, recipe.backbone_lr_multiplier),
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            nesterov=recipe.momentum > 0,
            fused=True,
        )
        self.losses_of = losses_of(network, objective)

    def __call__(self, batch: TrainingBatch, pairs: tuple[Pairs, Pairs]) -> dict[str, Tensor]:
        """Update the network by a batch; its losses, left on the device."""
        visible, infrared = (normalize(images.to(self._device, non_blocking=True)) for images in batch[:2])
        labels = batch.labels.to(self._device, non_blocking=True)
        layer3, layer4 = (each.to(self._device) for each in pairs)
        with mixed_precision(self._recipe.precision, self._device):
            losses = self.losses_of(visible, infrared, labels, (layer3, layer4))
        self.optimizer.zero_grad(set_to_none=True)
        losses["total"].backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return losses

    def set_rates(self, epoch: int) -> None:
        """Set the learning rates of ``epoch``."""
        factor = rate_factor(epoch, self._recipe.warmup_epochs, self._recipe.milestones)
        for group in self.optimizer.param_groups:
            group["lr"] = group["base_lr"] * factor

    @property
    def rate(self) -> float:
        """The present learning rate of neck and classifier."""
        rate: float = self.optimizer.param_groups[-1]["lr"]
        return rate
