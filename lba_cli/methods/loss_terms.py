"""The terms that training losses are made of (paper, section 3.3).

A term is a function of a :class:`ForwardPass` that returns named scalar losses. Methods list their terms in the order in
which they are computed, see :mod:`lba_cli.methods`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from lba_cli.alignment import Aligned, Pairs, align, sample_pairs
from lba_cli.methods.triplets import batch_hard_triplet
from lba_cli.model import TwoStreamNetwork, generalized_mean_pool
from lba_cli.vocabulary import Weighting


@dataclass(frozen=True)
class LossOptions:
    """Constants of the loss terms.

    Attributes:
        margin: the margin of the triplet losses on pooled features.
        dense_margin: the margin of the dense triplet.
        temperature: the factor of the similarities in the matching probability.
        weighting: how co-attention weighs the dense triplet, see :func:`lba_cli.alignment.align`.
    """

    margin: float = 0.3
    dense_margin: float = 0.3
    temperature: float = 50.0
    weighting: Weighting = "batch_mean"


@dataclass
class ForwardPass:
    """What the loss terms of one step share. Each part is computed when a term first asks for it.

    Attributes:
        network: in train mode.
        visible, infrared: (B·P, 3, H, W) normalised images, grouped by identity, in the same order of identities.
        labels: (2·B·P,) int64 class labels, of the visible images and then of the infrared ones.
        options: the terms' constants.
        pairs: partners for the alignment of layer3 and of layer4; drawn from ``generator`` if None.
        generator: a CPU generator, for pairs.
        facts: scalar tensors that terms report beside their losses; they are not minimised.
    """

    network: TwoStreamNetwork
    visible: Tensor
    infrared: Tensor
    labels: Tensor
    options: LossOptions
    pairs: tuple[Pairs, Pairs] | None = None
    generator: torch.Generator | None = None
    facts: dict[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.maps = self.network(self.visible, self.infrared)

    @cached_property
    def pooled(self) -> Tensor:
        """(2·B·P, D) pooled layer4 features, before the neck."""
        return generalized_mean_pool(self.maps.layer4)

    @cached_property
    def aligned(self) -> tuple[Aligned, Aligned]:
        """The alignment of layer3 and of layer4."""
        options, device = self.options, self.labels.device
        layer3, layer4 = (
            align(
                features,
                pairs.to(device),
                temperature=options.temperature,
                margin=options.dense_margin,
                weighting=options.weighting,
            )
            for features, pairs in zip(self.maps, self.pairs or self._draw_pairs(), strict=True)
        )
        return layer3, layer4

    def classification_loss(self, pooled: Tensor) -> Tensor:
        """The cross-entropy of (2·B·P, D) pooled features, through neck and classifier."""
        return F.cross_entropy(self.network.classify(pooled).float(), self.labels)

    def _draw_pairs(self) -> tuple[Pairs, Pairs]:
        half = len(self.labels) // 2
        instances = int((self.labels[:half] == self.labels[0]).sum())
        layer3, layer4 = (sample_pairs(half // instances, instances, self.generator) for _ in range(2))
        return layer3, layer4


class LossTerm(NamedTuple):
    """A named term of a loss.

    Attributes:
        name: the word for its weight in configs: ``loss.NAME``.
        compute: returns named scalar losses, which share the weight.
        aligns: whether it uses pairs of images.
    """

    name: str
    compute: Callable[[ForwardPass], Mapping[str, Tensor]]
    aligns: bool = False


def _identity(step: ForwardPass) -> dict[str, Tensor]:
    return {"identity": step.classification_loss(step.pooled)}


def _hard_triplet(step: ForwardPass) -> dict[str, Tensor]:
    loss, correct = batch_hard_triplet(step.pooled, step.labels, step.options.margin)
    step.facts["correct"] = correct / len(step.labels)
    return {"hard_triplet": loss}


def _identity_consistency(step: ForwardPass) -> dict[str, Tensor]:
    """Classify images reconstructed from their partners; reconstructed layer3 maps pass through layer4 first."""
    stage3, stage4 = step.aligned
    rebuilt = {"stage3": step.network.layer4(stage3.reconstructed), "stage4": stage4.reconstructed}
    return {
        f"identity_consistency_{stage}": step.classification_loss(generalized_mean_pool(maps))
        for stage, maps in rebuilt.items()
    }


def _dense_triplet(step: ForwardPass) -> dict[str, Tensor]:
    stage3, stage4 = step.aligned
    return {"dense_triplet": stage3.dense_triplet + stage4.dense_triplet}


IDENTITY = LossTerm("identity", _identity)
HARD_TRIPLET = LossTerm("hard_triplet", _hard_triplet)
IDENTITY_CONSISTENCY = LossTerm("identity_consistency", _identity_consistency, aligns=True)
DENSE_TRIPLET = LossTerm("dense_triplet", _dense_triplet, aligns=True)
