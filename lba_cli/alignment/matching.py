"""Where in the other image: matching probabilities between all positions, and warping by them (paper, section 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


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
        query, key = (_unit_vectors(features) for features in (query, key))  # (N, C, HW)
        similarity = torch.bmm(query.transpose(1, 2), key)  # (N, HW, HW)
        return torch.softmax(temperature * similarity, dim=2)


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


def _unit_vectors(features: Tensor) -> Tensor:
    """(N, C, H, W) → (N, C, HW), channel vectors of length one, in at least float32."""
    precise = features if features.dtype == torch.float64 else features.float()
    return F.normalize(precise.flatten(2), dim=1)
