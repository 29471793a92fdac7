"""Triplet losses on pooled features: N features of D channels, with N labels.

Each loss also counts its correct anchors, those with d⁻ ≥ d⁺. The functions that begin with ``batch_`` return the count as a
scalar tensor, so that the CPU doesn't wait for a GPU.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

SMALLEST_SQUARE = 1e-12  # of a distance
WEIGHT_EPSILON = 1e-6  # added to the sum of the weights of an anchor's positives, and of its negatives
LARGEST_EXPONENT = 88.0  # whose exponential float32 can hold


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


def weighted_triplet(features: Tensor, labels: Tensor) -> tuple[Tensor, int]:
    """Compute the weighted regularisation triplet loss of AGW (Ye et al., 2021), regardless of modality.

    The loss is the mean over all N anchors of log(1 + exp(d⁺ − d⁻)). Here d⁺ is a weighted mean of an anchor's distances to
    all samples of its identity, in which far ones weigh more, and d⁻ is a weighted mean of its distances to all samples of
    other identities, in which near ones weigh more. It has no margin. The gradient also flows through the weights.

    Args:
        features, labels: as for :func:`hard_triplet`.

    Returns:
        The loss, a scalar tensor in float32 (float64 for float64 features), and the number of anchors with d⁻ ≥ d⁺.
    """
    loss, correct = batch_weighted_triplet(features, labels)
    return loss, int(correct)


def squared_triplet(features: Tensor, labels: Tensor) -> tuple[Tensor, int]:
    """Compute the squared triplet loss of CAJ (Ye et al., ICCV 2021), regardless of modality.

    With d⁺ and d⁻ as in :func:`weighted_triplet`, s = min((d⁺ − d⁻)², 88) and y = −1 where d⁺ > d⁻, +1 elsewhere, the loss is the
    mean over all N anchors of log(1 + exp(−y·s)).

    Args:
        features, labels: as for :func:`hard_triplet`.

    Returns:
        The loss, a scalar tensor in float32 (float64 for float64 features), and the number of anchors with d⁻ ≥ d⁺.
    """
    loss, correct = batch_squared_triplet(features, labels)
    return loss, int(correct)


def batch_hard_triplet(features: Tensor, labels: Tensor, margin: float) -> tuple[Tensor, Tensor]:
    """Compute :func:`hard_triplet` with the count as a tensor."""
    distance, same = _distances(features), labels[:, None] == labels[None, :]
    positive = distance.masked_fill(~same, -torch.inf).amax(dim=1)
    negative = distance.masked_fill(same, torch.inf).amin(dim=1)
    return torch.relu(positive - negative + margin).mean(), (negative >= positive).sum()


def batch_weighted_triplet(features: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Compute :func:`weighted_triplet` with the count as a tensor."""
    positive, negative = _weighted_distances(features, labels)
    return F.softplus(positive - negative).mean(), (negative >= positive).sum()


def batch_squared_triplet(features: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Compute :func:`squared_triplet` with the count as a tensor."""
    positive, negative = _weighted_distances(features, labels)
    correct = negative >= positive
    square = (positive - negative).square().clamp(max=LARGEST_EXPONENT)
    return F.softplus(torch.where(correct, -square, square)).mean(), correct.sum()


def _distances(features: Tensor) -> Tensor:
    """Compute the (N, N) Euclidean distances of features, in float32 or float64."""
    with torch.autocast(features.device.type, enabled=False):
        features = features if features.dtype == torch.float64 else features.float()
        squares = features.square().sum(dim=1)
        squared = squares[:, None] + squares[None, :] - 2 * features @ features.T
        return squared.clamp(min=SMALLEST_SQUARE).sqrt()


def _weighted_distances(features: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Compute each anchor's d⁺ and d⁻, (N,) each: means of its distances, weighted by their softmax.

    An anchor is one of its own positives, at a distance of 1e-6 (or of what rounding makes of it).
    """
    distance, same = _distances(features), labels[:, None] == labels[None, :]
    return _softmax_mean(distance, distance, same), _softmax_mean(distance, -distance, ~same)


def _softmax_mean(distance: Tensor, score: Tensor, chosen: Tensor) -> Tensor:
    """Average each row's chosen distances, weighted by the softmax of their scores: three (N, N) → (N,).

    The maximum that the softmax subtracts is that of the whole row, where distances that aren't chosen count as 0. For the
    negatives it is 0, so that d⁻ vanishes if all are so far away that the epsilon is larger than their weights.
    """
    score = score * chosen
    weights = (score - score.amax(dim=1, keepdim=True)).exp() * chosen
    return (weights * distance).sum(dim=1) / (weights.sum(dim=1) + WEIGHT_EPSILON)
