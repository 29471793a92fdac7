"""Reconstruct every image from its partners and compare position by position (paper, sections 3.2 and 3.3)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from lba_cli.alignment.gradients import lengths
from lba_cli.alignment.masks import co_attention, mask_of_lengths
from lba_cli.alignment.matching import Positions, probability_between
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
        here, shape = Positions.of_maps(features), (len(features), 1, *features.shape[2:])
        mask = mask_of_lengths(here.lengths.view(shape))
        positive, probability = _rebuilt(here, mask, pairs.positive, temperature)
        negative, _ = _rebuilt(here, mask, pairs.negative, temperature)
        attention = co_attention(probability, mask, mask[pairs.positive]).flatten(1)  # (N, HW)
        triplet = torch.relu(_distance(here.vectors, positive) - _distance(here.vectors, negative) + margin)  # (N, HW)
        if weighting == "batch_mean":
            loss = (attention.mean(dim=0) * triplet.mean(dim=0)).mean()
        else:
            loss = (attention * triplet).mean()
        return Aligned(_maps(positive, features), loss)


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
        vectors, probability = _rebuilt(Positions.of_maps(features), mask, partner, temperature)
        return _maps(vectors, features), probability


def _rebuilt(here: Positions, mask: Tensor, partner: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """:func:`reconstruct` as channel vectors, (N, HW, C)."""
    there = here.of_partners(partner)
    probability = probability_between(here, there, temperature)
    warped = torch.bmm(probability, there.vectors)
    return torch.lerp(here.vectors, warped, mask.flatten(1).unsqueeze(2)), probability


def _maps(vectors: Tensor, like: Tensor) -> Tensor:
    """(N, HW, C) → (N, C, H, W) in channels-last memory."""
    number, channels, height, width = like.shape
    return vectors.view(number, height, width, channels).permute(0, 3, 1, 2)


def _distance(first: Tensor, second: Tensor) -> Tensor:
    """(N, HW) Euclidean distances of channel vectors, 1e-6 added to each difference."""
    return lengths((first - second).add_(DIFFERENCE_EPSILON))
