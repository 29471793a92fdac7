"""The learning rate as a pure function of the epoch, and the groups of parameters that it applies to."""

from collections.abc import Sequence
from typing import Any

from lba_cli.model import TwoStreamNetwork


def rate_factor(epoch: int, warmup_epochs: int, milestones: Sequence[int], decay: float = 0.1) -> float:
    """Return the factor of the base learning rate in ``epoch``, counted from 0.

    The factor rises linearly to 1 over ``warmup_epochs``, and is multiplied by ``decay`` at every milestone. The paper's recipe has 10
    epochs of warm-up, and milestones at 20 and 50 (section 4.1).

    Example:
        >>> [rate_factor(epoch, warmup_epochs=2, milestones=(3,)) for epoch in range(4)]
        [0.5, 1.0, 1.0, 0.1]
    """
    if epoch < warmup_epochs:
        return (epoch + 1) / warmup_epochs
    reached = sum(epoch >= milestone for milestone in milestones)
    return float(decay**reached)


def parameter_groups(
    network: TwoStreamNetwork, learning_rate: float, backbone_lr_multiplier: float = 0.1
) -> list[dict[str, Any]]:
    """Group a network's parameters for ``torch.optim.SGD``.

    Args:
        learning_rate: the learning rate of neck and classifier.
        backbone_lr_multiplier: the factor of the learning rate for stems, trunk and non-local blocks.

    Returns:
        One group for stems, trunk and non-local blocks, and one for neck and classifier. The learning rate of an epoch is computed from the
        group's ``base_lr``. The neck's bias is in neither group, because it isn't trained.
    """
    pretrained = [*network.stems.parameters(), *network.trunk.parameters(), *network.non_local.parameters()]
    fresh = [network.neck.weight, *network.classifier.parameters()]
    return [
        {"params": parameters, "lr": rate, "base_lr": rate}
        for parameters, rate in ((pretrained, backbone_lr_multiplier * learning_rate), (fresh, learning_rate))
    ]
