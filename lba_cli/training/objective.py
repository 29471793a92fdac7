"""What a training step minimises (paper, section 3.3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lba_cli.alignment import Pairs, align, sample_pairs
from lba_cli.model import TwoStreamNetwork, generalized_mean_pool
from lba_cli.training.triplet import hardest_triplets
from lba_cli.vocabulary import METHODS, Method, Weighting


class Objective:
    """The losses of a batch.

    Args:
        method: ``baseline`` is identity + hard triplet; ``full`` adds identity consistency and the dense triplet.
        weighting: of the dense triplet by the co-attention, see :func:`lba_cli.alignment.align`.
        temperature: of the matching probability.
        margin: of both triplet losses, unless ``dense_margin`` says otherwise for the dense one.
        dense_margin: of the dense triplet; None for ``margin``.
        triplet_weight, dense_triplet_weight: the factors of the hard and of the dense triplet in the total.

    Raises:
        ValueError: an unknown method.
    """

    def __init__(
        self,
        method: Method = "full",
        weighting: Weighting = "batch_mean",
        *,
        temperature: float = 50.0,
        margin: float = 0.3,
        dense_margin: float | None = None,
        triplet_weight: float = 1.0,
        dense_triplet_weight: float = 0.5,
    ) -> None:
        if method not in METHODS:
            raise ValueError(f"method must be one of {', '.join(METHODS)}, not {method!r}")
        self.method, self.weighting = method, weighting
        self.temperature, self.margin = temperature, margin
        self.dense_margin = margin if dense_margin is None else dense_margin
        self._weights = {"hard_triplet": triplet_weight, "dense_triplet": dense_triplet_weight}

    def __call__(
        self,
        network: TwoStreamNetwork,
        visible: Tensor,
        infrared: Tensor,
        labels: Tensor,
        pairs: tuple[Pairs, Pairs] | None = None,
        generator: torch.Generator | None = None,
    ) -> dict[str, Tensor]:
        """Run the network on a batch of B identities × P images in each modality and take its losses.

        Args:
            network: in train mode.
            visible: (B·P, 3, H, W) normalised images, grouped by identity.
            infrared: (B·P, 3, H, W), the same identities in the same order.
            labels: (B·P,) int64, shared by both halves.
            pairs: the partners for layer3 and for layer4; drawn from ``generator`` when None.
            generator: a CPU generator.

        Returns:
            Scalar tensors: ``identity``, ``hard_triplet``, ``total``, ``correct`` (share of anchors whose nearest negative
            is farther than their farthest positive), and for ``full`` ``identity_consistency_stage3``,
            ``identity_consistency_stage4`` and ``dense_triplet`` (the sum of both stages, before its weight).
        """
        labels = torch.cat([labels, labels])
        maps = network(visible, infrared)
        losses = {}
        if self.method == "full":
            # The order of these calls is the method's: layer4 and the neck update their running statistics in each.
            pairs = pairs or self._draw(labels, generator)
            stage3, stage4 = (
                align(
                    features,
                    chosen.to(labels.device),
                    temperature=self.temperature,
                    margin=self.dense_margin,
                    weighting=self.weighting,
                )
                for features, chosen in zip(maps, pairs, strict=True)
            )
            from_stage3 = network.layer4(stage3.reconstructed)
            for name, rebuilt in (("stage3", from_stage3), ("stage4", stage4.reconstructed)):
                losses[f"identity_consistency_{name}"] = self._identity(network, generalized_mean_pool(rebuilt), labels)
            losses["dense_triplet"] = stage3.dense_triplet + stage4.dense_triplet
        pooled = generalized_mean_pool(maps.layer4)
        losses["identity"] = self._identity(network, pooled, labels)
        losses["hard_triplet"], correct = hardest_triplets(pooled, labels, self.margin)
        losses["total"] = torch.stack([self._weights.get(name, 1.0) * loss for name, loss in losses.items()]).sum()
        losses["correct"] = correct / len(labels)
        return losses

    def _identity(self, network: nn.Module, pooled: Tensor, labels: Tensor) -> Tensor:
        logits: Tensor = network.classify(pooled)  # type: ignore[operator]
        return F.cross_entropy(logits.float(), labels)

    def _draw(self, labels: Tensor, generator: torch.Generator | None) -> tuple[Pairs, Pairs]:
        instances = int((labels[: len(labels) // 2] == labels[0]).sum())
        identities = len(labels) // (2 * instances)
        return (
            sample_pairs(identities, instances, generator),
            sample_pairs(identities, instances, generator),
        )
