"""Reconstruct every image from its partners and compare position by position (paper, sections 3.2 and 3.3)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from lba_cli.alignment.masks import co_attention, person_mask
from lba_cli.alignment.matching import matching_probability, warp
from lba_cli.alignment.pairs import Pairs
from lba_cli.vocabulary import WEIGHTINGS, Weighting

DIFFERENCE_EPSILON = 1e-6


class Aligned(NamedTuple):
    """What aligning a batch gives.

    Attributes:
        reconstructed: (N, C, H, W), every image reconstructed from its positive partner.
        dense_triplet: scalar, the dense triplet loss.
    """

    reconstructed: Tensor
    dense_triplet: Tensor


def align(
    features: Tensor,
    pairs: Pairs,
    *,
    temperature: float = 50.0,
    margin: float = 0.3,
    weighting: Weighting = "batch_mean",
) -> Aligned:
    """Align every image with its partners, reconstruct it from them, and take the dense triplet loss.

    Args:
        features: (N, C, H, W) of the whole batch, both modalities.
        pairs: the partners of the N images.
        temperature: of the matching probability.
        margin: of the triplet at each position.
        weighting: how the positive co-attention A weighs the triplets ℓ. ``per_position`` is the paper's equation,
            the mean over images n and positions p of A_n(p)·ℓ_n(p). ``batch_mean`` is what the published figures
            were made with: the mean over p of (mean_n A_n(p))·(mean_n ℓ_n(p)).

    Raises:
        ValueError: an unknown weighting.
    """
    if weighting not in WEIGHTINGS:
        raise ValueError(f"weighting must be one of {', '.join(WEIGHTINGS)}, not {weighting!r}")
    with torch.autocast(features.device.type, enabled=False):
        features = features if features.dtype == torch.float64 else features.float()
        mask = person_mask(features)
        positive, probability = reconstruct(features, mask, pairs.positive, temperature)
        negative, _ = reconstruct(features, mask, pairs.negative, temperature)
        attention = co_attention(probability, mask, mask[pairs.positive]).squeeze(1)  # (N, H, W)
        triplet = torch.relu(_distance(features, positive) - _distance(features, negative) + margin)  # (N, H, W)
        if weighting == "batch_mean":
            loss = (attention.mean(dim=0) * triplet.mean(dim=0)).mean()
        else:
            loss = (attention * triplet).mean()
        return Aligned(positive, loss)


def reconstruct(features: Tensor, mask: Tensor, partner: Tensor, temperature: float = 50.0) -> tuple[Tensor, Tensor]:
    """Rebuild images from their partners on the person, and keep their own features elsewhere.

    Args:
        features: (N, C, H, W).
        mask: (N, 1, H, W) person masks of the same images.
        partner: (N,) index of each image's partner.
        temperature: of the matching probability.

    Returns:
        The reconstructions (N, C, H, W) and the matching probabilities (N, HW, HW).
    """
    key = features[partner]
    probability = matching_probability(features, key, temperature)
    return mask * warp(probability, key) + (1 - mask) * features, probability


def _distance(first: Tensor, second: Tensor) -> Tensor:
    """(N, H, W) Euclidean distances of channel vectors, 1e-6 added to each difference."""
    result: Tensor = torch.linalg.vector_norm(first - second + DIFFERENCE_EPSILON, dim=1)
    return result
