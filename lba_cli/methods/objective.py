"""The quantity that a training step minimises: the weighted sum of a method's loss terms (paper, section 3.3)."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from lba_cli.alignment import Pairs, sample_pairs
from lba_cli.methods.loss_terms import ForwardPass, LossOptions
from lba_cli.methods.table import get_method
from lba_cli.model import TwoStreamNetwork
from lba_cli.vocabulary import Weighting


class ObjectiveValues(NamedTuple):
    """The values of an objective for one batch.

    Attributes:
        losses: scalar tensors, the losses of each term before its weight, and ``total``.
        diagnostics: scalar tensors that terms report beside their losses, such as ``correct_triplets``.
    """

    losses: dict[str, Tensor]
    diagnostics: dict[str, Tensor]


class Objective:
    """A method's loss, as a function of the network and a batch.

    Args:
        method: a name in :data:`lba_cli.methods.METHODS`, such as ``baseline`` or ``full``.
        weights: the weights of loss terms by name; other terms keep the method's default. A term of weight 0 isn't
            computed.
        weighting, temperature, margin, dense_margin, masks: see :class:`LossOptions`; ``dense_margin`` defaults to ``margin``.

    Raises:
        ValueError: the method is unknown, it lacks a term in ``weights``, a weight is negative, or all are 0.

    Example:
        >>> losses = Objective("full", weights={"dense_triplet": 0})(network, visible, infrared, labels)
        >>> losses["total"].backward()
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
        masks: bool = True,
    ) -> None:
        row = get_method(method)
        dense_margin = margin if dense_margin is None else dense_margin
        self.options = LossOptions(margin, dense_margin, temperature, weighting, masks)
        resolved = row.weights(weights or {})
        self._terms = [(term, resolved[term.name]) for term in row.terms if resolved[term.name] > 0]

    def __call__(
        self,
        network: TwoStreamNetwork,
        visible: Tensor,
        infrared: Tensor,
        labels: Tensor,
        pairs: tuple[Pairs, Pairs] | None = None,
        generator: torch.Generator | None = None,
    ) -> dict[str, Tensor]:
        """Run the network on a batch of B identities × P images in each modality, and compute its losses.

        Args:
            network: in train mode.
            visible, infrared: (B·P, 3, H, W) normalised images, grouped by identity, in the same order of identities. The
                visible images may be in several views, one view of all of them after the other: (V·B·P, 3, H, W).
            labels: (B·P,) int64 class labels, shared by both modalities and all views.
            pairs: the images' partners for layer3 and for layer4; drawn with ``generator`` if None.
            generator: a CPU generator; PyTorch's global one if None.

        Returns:
            Scalar tensors: the losses of each term before its weight, and ``total``.
        """

        def draw_pairs() -> tuple[Pairs, Pairs]:
            if pairs:
                return pairs
            instances = int((labels == labels[0]).sum())
            sizes = len(labels) // instances, instances, generator, len(visible) // len(labels)
            return sample_pairs(*sizes), sample_pairs(*sizes)

        return self.evaluate(network, visible, infrared, labels, draw_pairs).losses

    def evaluate(
        self,
        network: TwoStreamNetwork,
        visible: Tensor,
        infrared: Tensor,
        labels: Tensor,
        draw_pairs: Callable[[], tuple[Pairs, Pairs]],
    ) -> ObjectiveValues:
        """Compute the losses and the diagnostics of a batch; ``draw_pairs`` is only called if a term aligns images.

        Raises:
            ValueError: two terms return a loss of the same name, or the numbers of images and labels don't fit together.
        """
        views, rest = divmod(len(visible), max(1, len(labels)))
        if rest or not views or len(infrared) != len(labels):
            raise ValueError(
                f"{len(labels)} labels need {len(labels)} infrared images, and as many visible images in each view, but there are "
                f"{len(infrared)} infrared and {len(visible)} visible images"
            )
        step = ForwardPass(network, visible, infrared, labels.repeat(views + 1), self.options, draw_pairs)
        losses: dict[str, Tensor] = {}
        weighted = []
        # The order matters: layer4 and the neck update their running statistics in every pass.
        for term, weight in self._terms:
            found = term.compute(step)
            if taken := found.keys() & {*losses, "total"}:
                raise ValueError(f"the loss term '{term.name}' returns a loss '{min(taken)}', which exists already")
            losses.update(found)
            weighted += [weight * loss for loss in found.values()]
        losses["total"] = torch.stack(weighted).sum()
        return ObjectiveValues(losses, step.diagnostics)
