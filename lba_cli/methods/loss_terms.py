"""The loss terms that methods are made of (paper, section 3.3).

A term is a function of a :class:`ForwardPass` that returns named scalar losses. The table of methods
(:mod:`lba_cli.methods.table`) lists the terms of each method.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from torch import Tensor
from torch.nn import functional as F

from lba_cli.alignment import Aligned, Pairs, align
from lba_cli.methods.triplets import batch_hard_triplet, batch_squared_triplet, batch_weighted_triplet
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
        masks: whether reconstructions use person masks.
    """

    margin: float = 0.3
    dense_margin: float = 0.3
    temperature: float = 50.0
    weighting: Weighting = "batch_mean"
    masks: bool = True


@dataclass
class ForwardPass:
    """One forward pass of the network, which all loss terms of a step share.

    Only ``maps`` is computed at once. Everything else is computed when a term first asks for it.

    Attributes:
        network: the network, in train mode.
        visible: (V·B·P, 3, H, W) normalised images of B identities × P images, grouped by identity, in V views, one view of all
            images after the other. V is 1, or 2 with ``data.visible_views``.
        infrared: (B·P, 3, H, W), of the same identities in the same order.
        labels: (N,) int64 class labels of all N = (V + 1)·B·P images, visible ones first.
        options: the constants of the terms.
        draw_pairs: returns each image's partners, for aligning layer3 and for aligning layer4.
        diagnostics: scalar tensors by name, which terms report for the run's metrics and which are not minimised.
        maps: the feature maps of all images, visible ones first.
    """

    network: TwoStreamNetwork
    visible: Tensor
    infrared: Tensor
    labels: Tensor
    options: LossOptions
    draw_pairs: Callable[[], tuple[Pairs, Pairs]]
    diagnostics: dict[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.maps = self.network(self.visible, self.infrared)

    @cached_property
    def pooled(self) -> Tensor:
        """(N, D) pooled layer4 features, before the neck and not normalised."""
        return generalized_mean_pool(self.maps.layer4)

    @cached_property
    def aligned(self) -> tuple[Aligned, Aligned]:
        """The alignment of layer3 and of layer4, each with pairs of its own."""
        options, device = self.options, self.labels.device
        layer3, layer4 = (
            align(
                features,
                pairs.to(device),
                temperature=options.temperature,
                margin=options.dense_margin,
                weighting=options.weighting,
                masks=options.masks,
            )
            for features, pairs in zip(self.maps, self.draw_pairs(), strict=True)
        )
        return layer3, layer4

    def classification_loss(self, pooled: Tensor) -> Tensor:
        """Compute the cross-entropy of (N, D) pooled features, through neck and classifier."""
        return F.cross_entropy(self.network.classify(pooled).float(), self.labels)


class LossTerm(NamedTuple):
    """A named term of a loss.

    Attributes:
        name: the config key of its weight is ``loss.NAME``.
        compute: returns scalar losses by name, which all get the term's weight. Most terms return one, named like the term.
        options: the :class:`LossOptions` that it depends on, so that a run can warn of options that have no effect; None if unknown.
    """

    name: str
    compute: Callable[[ForwardPass], Mapping[str, Tensor]]
    options: tuple[str, ...] | None = None


def _identity(step: ForwardPass) -> dict[str, Tensor]:
    return {"identity": step.classification_loss(step.pooled)}


def _hard_triplet(step: ForwardPass) -> dict[str, Tensor]:
    return _triplet(step, "hard_triplet", batch_hard_triplet(step.pooled, step.labels, step.options.margin))


def _weighted_triplet(step: ForwardPass) -> dict[str, Tensor]:
    return _triplet(step, "weighted_triplet", batch_weighted_triplet(step.pooled, step.labels))


def _squared_triplet(step: ForwardPass) -> dict[str, Tensor]:
    return _triplet(step, "squared_triplet", batch_squared_triplet(step.pooled, step.labels))


def _triplet(step: ForwardPass, name: str, found: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
    """Report the share of anchors whose negative is at least as far away as their positive, beside the loss."""
    loss, correct = found
    step.diagnostics["correct_triplets"] = correct / len(step.labels)
    return {name: loss}


def _identity_consistency(step: ForwardPass) -> dict[str, Tensor]:
    """Classify the maps that are reconstructed from each image's partner; those of layer3 pass through layer4 first."""
    layer3, layer4 = step.aligned
    reconstructed = {"stage3": step.network.layer4(layer3.reconstructed), "stage4": layer4.reconstructed}
    return {
        f"identity_consistency_{stage}": step.classification_loss(generalized_mean_pool(maps))
        for stage, maps in reconstructed.items()
    }


def _dense_triplet(step: ForwardPass) -> dict[str, Tensor]:
    layer3, layer4 = step.aligned
    return {"dense_triplet": layer3.dense_triplet + layer4.dense_triplet}


IDENTITY = LossTerm("identity", _identity, ())
HARD_TRIPLET = LossTerm("hard_triplet", _hard_triplet, ("margin",))
WEIGHTED_TRIPLET = LossTerm("weighted_triplet", _weighted_triplet, ())
SQUARED_TRIPLET = LossTerm("squared_triplet", _squared_triplet, ())
IDENTITY_CONSISTENCY = LossTerm("identity_consistency", _identity_consistency, ("temperature", "masks"))
DENSE_TRIPLET = LossTerm("dense_triplet", _dense_triplet, ("temperature", "masks", "dense_margin", "weighting"))
