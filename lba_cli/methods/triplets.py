"""Triplet losses on pooled features.

Shapes: N features of D channels, with N labels.
"""

from __future__ import annotations

import torch
from torch import Tensor


def hard_triplet(features: Tensor, labels: Tensor, margin: float = 0.3) -> tuple[Tensor, int]:
    """The batch-hard triplet loss (Hermans et al., 2017), regardless of modality.

    Every anchor is compared with its farthest sample of the same identity and its nearest one of another identity, by
    Euclidean distance: the mean over anchors of relu(d⁺ − d⁻ + margin).

    Args:
        features: (N, D) pooled features, before the neck and not normalised.
        labels: (N,) identities.
        margin: how much farther than the positive the negative should be.

    Returns:
        The loss, and the number of anchors with d⁻ ≥ d⁺ (0 … N).
    """
    loss, correct = batch_hard_triplet(features, labels, margin)
    return loss, int(correct)


def batch_hard_triplet(features: Tensor, labels: Tensor, margin: float) -> tuple[Tensor, Tensor]:
    """Compute :func:`hard_triplet` without waiting for the device: the count is a scalar tensor."""
    with torch.autocast(features.device.type, enabled=False):
        features = features if features.dtype == torch.float64 else features.float()
        distance = euclidean_distances(features)
    same = labels[:, None] == labels[None, :]
    positive = distance.masked_fill(~same, -torch.inf).amax(dim=1)
    negative = distance.masked_fill(same, torch.inf).amin(dim=1)
    return torch.relu(positive - negative + margin).mean(), (negative >= positive).sum()


def euclidean_distances(features: Tensor) -> Tensor:
    """(N, D) features → (N, N) Euclidean distances; their squares are clamped at 1e-12 before the root."""
    squares = features.square().sum(dim=1)
    squared = squares[:, None] + squares[None, :] - 2 * features @ features.T
    return squared.clamp(min=1e-12).sqrt()
