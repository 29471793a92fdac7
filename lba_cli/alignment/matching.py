"""Where in the other image: matching probabilities between all positions, and warping by them (paper, section 3.2)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from lba_cli.alignment.gradients import lengths, of_partners

EPSILON = 1e-12


class Positions(NamedTuple):
    """Feature maps as lists of places, which is how channels-last memory holds them; in at least float32.

    Attributes:
        vectors: (…, HW, C), the channel vectors.
        lengths: (…, HW), theirs.
    """

    vectors: Tensor
    lengths: Tensor

    @classmethod
    def of_maps(cls, features: Tensor) -> Positions:
        """Of (N, C, H, W) maps: (N, HW, C) and (N, HW)."""
        precise = features if features.dtype == torch.float64 else features.float()
        vectors = precise.permute(0, 2, 3, 1).flatten(1, 2)
        return cls(vectors, lengths(vectors))

    def of_partners(self, partners: Tensor) -> Positions:
        """Those of the K ``partners`` of each image, (N, K) int64: (N, K, HW, C) and (N, K, HW)."""
        return Positions(*(of_partners(each, partners) for each in self))


def matching_probability(query: Tensor, key: Tensor, temperature: float = 50.0) -> Tensor:
    """Probability that a position of the query image matches each position of the key image.

    The softmax over the key's positions of ``temperature`` × the cosine between channel vectors; computed in at
    least float32, also inside autocast.

    Args:
        query: (N, C, H, W) features.
        key: (N, C, H, W) features of the partners.
        temperature: the factor β of the paper, by which the similarities are multiplied.

    Returns:
        (N, HW, HW) float32 (float64 for float64 input); rows are query positions and sum to one.
    """
    with torch.autocast(query.device.type, enabled=False):
        keys = Positions(*(each.unsqueeze(1) for each in Positions.of_maps(key)))
        return probabilities(Positions.of_maps(query), keys, temperature).squeeze(1)


def probabilities(query: Positions, keys: Positions, temperature: float) -> Tensor:
    """:func:`matching_probability` of N images and K partners of each, in one product: (N, K, HW, HW).

    Products are divided by lengths, which are fewer numbers than vectors.
    """
    number, partners, places, channels = keys.vectors.shape
    every = keys.vectors.reshape(number, partners * places, channels)
    products = torch.bmm(query.vectors, every.transpose(1, 2)).view(number, places, partners, places)
    scale = temperature / query.lengths.clamp(min=EPSILON)
    cosines = products * scale[:, :, None, None] / keys.lengths.clamp(min=EPSILON)[:, None]
    return torch.softmax(cosines, dim=3).transpose(1, 2)


def warped(probability: Tensor, keys: Positions, dtype: torch.dtype) -> Tensor:
    """:func:`warp` of K partners' positions: (N, K, HW, HW) → (N, K, HW, C), products in ``dtype``."""
    vectors = keys.vectors.flatten(0, 1).to(dtype)
    return torch.bmm(probability.flatten(0, 1).to(dtype), vectors).view(keys.vectors.shape)


def warp(probability: Tensor, features: Tensor) -> Tensor:
    """Bring the partners' features to the query's positions: probability-weighted means of channel vectors.

    Args:
        probability: (N, HW, HW), rows are query positions, columns the partner's positions.
        features: (N, C, H, W) of the partners.

    Returns:
        (N, C, H, W), in the precision of ``probability``.
    """
    with torch.autocast(probability.device.type, enabled=False):
        flat = features.to(probability.dtype).flatten(2)  # (N, C, HW)
        return torch.bmm(flat, probability.transpose(1, 2)).view(features.shape)
