"""Reconstruct every image from its partners and compare position by position (paper, sections 3.2 and 3.3)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from lba_cli.alignment.gradients import masked_distances
from lba_cli.alignment.masks import co_attention, mask_of_lengths
from lba_cli.alignment.matching import Positions, probabilities, warped
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
        here = Positions.of_maps(features)
        mask = _mask(here, features)
        both = here.of_partners(torch.stack([pairs.positive, pairs.negative], dim=1))
        probability = probabilities(here, both, temperature)
        brought = warped(probability, both, features.dtype)  # (N, 2, HW, C)
        distance = masked_distances(here.vectors, brought, mask.flatten(1), DIFFERENCE_EPSILON)
        triplet = torch.relu(distance[:, 0] - distance[:, 1] + margin)  # (N, HW)
        attention = co_attention(probability[:, 0], mask, mask[pairs.positive]).flatten(1)  # (N, HW)
        if weighting == "batch_mean":
            loss = (attention.mean(dim=0) * triplet.mean(dim=0)).mean()
        else:
            loss = (attention * triplet).mean()
        return Aligned(_reconstructed(here, brought[:, 0], mask), loss)


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
    with torch.autocast(features.device.type, enabled=False):
        here = Positions.of_maps(features)
        there = here.of_partners(partner.unsqueeze(1))
        probability = probabilities(here, there, temperature)
        return _reconstructed(here, warped(probability, there, features.dtype)[:, 0], mask), probability.squeeze(1)


def _mask(here: Positions, like: Tensor) -> Tensor:
    """(N, 1, H, W) person masks."""
    return mask_of_lengths(here.lengths.view(len(like), 1, *like.shape[2:]))


def _reconstructed(here: Positions, brought: Tensor, mask: Tensor) -> Tensor:
    """(N, HW, C) vectors brought over, on the person, and one's own elsewhere: (N, C, H, W) in channels-last memory."""
    vectors = torch.lerp(here.vectors, brought.to(here.vectors.dtype), mask.flatten(1).unsqueeze(2))
    number, _, height, width = mask.shape
    return vectors.view(number, height, width, -1).permute(0, 3, 1, 2)
