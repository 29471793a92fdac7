"""The batch-hard triplet loss on pooled features."""

from __future__ import annotations

import torch
from torch import Tensor


def hard_triplet(features: Tensor, labels: Tensor, margin: float = 0.3) -> tuple[Tensor, int]:
    """For every anchor the farthest same-identity and the nearest other-identity sample, whatever their modality.

    Args:
        features: (N, D) pooled features, neither normalised nor passed through the neck.
        labels: (N,) identities.
        margin: by which the negative should be farther than the positive.

    Returns:
        The mean of relu(d⁺ − d⁻ + margin) over the anchors, and how many anchors have d⁻ ≥ d⁺ (0 … N).
    """
    loss, correct = hardest_triplets(features, labels, margin)
    return loss, int(correct)


def hardest_triplets(features: Tensor, labels: Tensor, margin: float) -> tuple[Tensor, Tensor]:
    """As :func:`hard_triplet`, the count left on the device as a scalar tensor."""
    with torch.autocast(features.device.type, enabled=False):
        features = features if features.dtype == torch.float64 else features.float()
        distance = _euclidean(features)
    same = labels[:, None] == labels[None, :]
    positive = distance.masked_fill(~same, -torch.inf).amax(dim=1)
    negative = distance.masked_fill(same, torch.inf).amin(dim=1)
    return torch.relu(positive - negative + margin).mean(), (negative >= positive).sum()


def _euclidean(features: Tensor) -> Tensor:
    """(N, N) Euclidean distances, their squares clamped at 1e-12 before the root."""
    squares = features.square().sum(dim=1)
    squared = squares[:, None] + squares[None, :] - 2 * features @ features.T
    return squared.clamp(min=1e-12).sqrt()
