"""Triplet losses on pooled features: N features of D channels, with N labels."""

import torch
from torch import Tensor


def hard_triplet(features: Tensor, labels: Tensor, margin: float = 0.3) -> tuple[Tensor, int]:
    """Compute the batch-hard triplet loss (Hermans et al., 2017), regardless of modality.

    The loss is the mean over all N anchors of relu(d⁺ − d⁻ + margin). Here d⁺ is the Euclidean distance of an anchor to
    its farthest sample of the same identity, and d⁻ the distance to its nearest sample of another identity.

    Args:
        features: (N, D) pooled features, before the neck and not normalised.
        labels: (N,) int64 identities, at least two different ones.
        margin: by how much d⁻ should exceed d⁺, in units of the features.

    Returns:
        The loss, a scalar tensor in float32 (float64 for float64 features), and the number of anchors with d⁻ ≥ d⁺.

    Example:
        >>> hard_triplet(torch.tensor([[0.0], [1.0], [3.0], [4.0]]), torch.tensor([0, 0, 1, 1]), margin=1.0)
        (tensor(0.), 4)
    """
    loss, correct = batch_hard_triplet(features, labels, margin)
    return loss, int(correct)


def batch_hard_triplet(features: Tensor, labels: Tensor, margin: float) -> tuple[Tensor, Tensor]:
    """Compute :func:`hard_triplet` with the count as a scalar tensor, so that the CPU doesn't wait for a GPU."""
    with torch.autocast(features.device.type, enabled=False):
        features = features if features.dtype == torch.float64 else features.float()
        squares = features.square().sum(dim=1)
        squared = squares[:, None] + squares[None, :] - 2 * features @ features.T
        distance = squared.clamp(min=1e-12).sqrt()
    same = labels[:, None] == labels[None, :]
    positive = distance.masked_fill(~same, -torch.inf).amax(dim=1)
    negative = distance.masked_fill(same, torch.inf).amin(dim=1)
    return torch.relu(positive - negative + margin).mean(), (negative >= positive).sum()
