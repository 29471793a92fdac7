"""The learning rate as a pure function of the epoch, and which parameters get how much of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lba_cli.model import TwoStreamNetwork

TRUNK_SHARE = 0.1


def rate_factor(epoch: int, warmup_epochs: int, milestones: Sequence[int], decay: float = 0.1) -> float:
    """What the base learning rate is multiplied by in ``epoch`` (from 0).

    A linear warm-up to 1 over ``warmup_epochs``, then ``decay`` once for every milestone reached. The paper's recipe:
    10 epochs of warm-up, milestones 20 and 50.
    """
    if epoch < warmup_epochs:
        return (epoch + 1) / warmup_epochs
    reached = sum(epoch >= milestone for milestone in milestones)
    return float(decay**reached)


def parameter_groups(
    network: TwoStreamNetwork, learning_rate: float, backbone_lr_multiplier: float = TRUNK_SHARE
) -> list[dict[str, Any]]:
    """Parameters for ``torch.optim.SGD``: neck and classifier at ``learning_rate``, stems and trunk at a share of it.

    Each group carries ``base_lr``, from which an epoch's rate is computed. The neck's bias stays out: it isn't trained.
    """
    pretrained = [*network.stems.parameters(), *network.trunk.parameters()]
    fresh = [network.neck.weight, *network.classifier.parameters()]
    return [
        {"params": parameters, "lr": rate, "base_lr": rate}
        for parameters, rate in ((pretrained, backbone_lr_multiplier * learning_rate), (fresh, learning_rate))
    ]
