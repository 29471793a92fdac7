"""The quantity that a training step minimises: a weighted sum of a method's loss terms (paper, section 3.3)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from lba_cli.alignment import Pairs
from lba_cli.methods.loss_terms import ForwardPass, LossOptions
from lba_cli.methods.table import get_method
from lba_cli.model import TwoStreamNetwork
from lba_cli.vocabulary import Weighting


class Objective:
    """The losses of a batch.

    Args:
        method: a name in :data:`lba_cli.methods.METHODS`, such as ``baseline`` or ``full``.
        weighting: how co-attention weighs the dense triplet, see :func:`lba_cli.alignment.align`.
        weights: weights of loss terms by name, instead of the method's own. A term of weight 0 is not computed.
        temperature: the factor of the similarities in the matching probability.
        margin: the margin of the triplet losses.
        dense_margin: the margin of the dense triplet; ``margin`` if None.

    Attributes:
        aligns: whether a term uses pairs of images.

    Raises:
        ValueError: the method is unknown, or ``weights`` has a term that the method doesn't have.

    Example:
        >>> Objective("full", weights={"dense_triplet": 0}).aligns  # the identity consistency still aligns
        True
    """

    def __init__(
        self,
        method: str = "full",
        weighting: Weighting = "batch_mean",
        *,
        weights: Mapping[str, float] | None = None,
        temperature: float = 50.0,
        margin: float = 0.3,
        dense_margin: float | None = None,
    ) -> None:
        row = get_method(method)
        self.method = method
        self.options = LossOptions(margin, margin if dense_margin is None else dense_margin, temperature, weighting)
        resolved = row.weights(weights or {})
        self._terms = [(term, resolved[term.name]) for term in row.terms if resolved[term.name] > 0]
        self.aligns = any(term.aligns for term, _ in self._terms)

    def __call__(
        self,
        network: TwoStreamNetwork,
        visible: Tensor,
        infrared: Tensor,
        labels: Tensor,
        pairs: tuple[Pairs, Pairs] | None = None,
        generator: torch.Generator | None = None,
    ) -> dict[str, Tensor]:
        """Run the network on a batch of B identities × P images in each modality and compute its losses.

        Args:
            network: in train mode.
            visible: (B·P, 3, H, W) normalised images, grouped by identity.
            infrared: (B·P, 3, H, W) normalised images, the same identities in the same order.
            labels: (B·P,) int64 class labels, shared by both halves.
            pairs: the partners for layer3 and for layer4; drawn from ``generator`` if None.
            generator: a CPU generator; PyTorch's global one if None.

        Returns:
            Scalar tensors: the losses of each term before its weight, ``total``, and the facts that terms report, such as
            ``correct`` (the share of anchors whose nearest negative is farther than their farthest positive).
        """
        step = ForwardPass(network, visible, infrared, torch.cat([labels, labels]), self.options, pairs, generator)
        losses: dict[str, Tensor] = {}
        weighted = []
        # The method's order matters: layer4 and the neck update their running statistics in every pass.
        for term, weight in self._terms:
            found = term.compute(step)
            losses.update(found)
            weighted += [weight * loss for loss in found.values()]
        losses["total"] = torch.stack(weighted).sum()
        return losses | step.facts
