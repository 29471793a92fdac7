"""Dense correspondences: matching probabilities between all positions, and warping with them (paper, section 3.2)."""

import torch
from torch import Tensor

from lba_cli.alignment.channel_vectors import ChannelVectors, to_maps

EPSILON = 1e-12


def matching_probability(query: Tensor, key: Tensor, temperature: float = 50.0) -> Tensor:
    """Compute the probability that a position of the query image matches each position of the key image.

    With channel vectors f(p) of the query and g(q) of the key, and the temperature β::

        P(p, q) = exp(β · cos(f(p), g(q))) / Σ_q' exp(β · cos(f(p), g(q')))

    This is computed in float32, also within autocast.

    Args:
        query: (N, C, H, W) features.
        key: (N, C, H, W) features of the query images' partners.
        temperature: β, the factor of the similarities.

    Returns:
        (N, HW, HW) float32 (float64 for float64 features). Rows are positions of the query and sum to 1.

    Example:
        >>> matching_probability(torch.rand(2, 64, 18, 9), torch.rand(2, 64, 18, 9)).shape
        torch.Size([2, 162, 162])
    """
    with torch.autocast(query.device.type, enabled=False):
        keys = ChannelVectors.from_maps(key).as_single_partners()
        return match(ChannelVectors.from_maps(query), keys, temperature).squeeze(1)


def warp(probability: Tensor, features: Tensor) -> Tensor:
    """Warp the partners' features to the positions of the query: Σ_q P(p, q) · g(q).

    Args:
        probability: (N, HW, HW) matching probabilities P; rows are positions of the query.
        features: (N, C, H, W) features g of the partners.

    Returns:
        (N, C, H, W), in the dtype of ``probability``.
    """
    with torch.autocast(probability.device.type, enabled=False):
        vectors = features.permute(0, 2, 3, 1).flatten(1, 2)  # (N, HW, C)
        warped = weighted_means(probability.unsqueeze(1), vectors.unsqueeze(1), probability.dtype)[:, 0]
        return to_maps(warped, features)


def match(query: ChannelVectors, keys: ChannelVectors, temperature: float) -> Tensor:
    """Compute :func:`matching_probability` for N images and K partners of each: (N, K, HW, HW), in the vectors' dtype.

    The ``query`` has vectors (N, HW, C), the ``keys`` have vectors (N, K, HW, C).
    """
    number, partners, positions, channels = keys.vectors.shape
    all_keys = keys.vectors.reshape(number, partners * positions, channels)
    products = torch.bmm(query.vectors, all_keys.transpose(1, 2)).view(number, positions, partners, positions)
    # The norms divide the products instead of the vectors, because there are fewer products than elements (HW < C).
    scale = temperature / query.norms.clamp(min=EPSILON)
    similarities = products * scale[:, :, None, None] / keys.norms.clamp(min=EPSILON)[:, None]
    return torch.softmax(similarities, dim=3).transpose(1, 2)


def weighted_means(probability: Tensor, vectors: Tensor, dtype: torch.dtype) -> Tensor:
    """Compute :func:`warp` for K partners of each image, as matrix products in ``dtype``.

    ``probability`` is (N, K, HW, HW). ``vectors`` and the result are (N, K, HW, C).
    """
    flat = torch.bmm(probability.flatten(0, 1).to(dtype), vectors.flatten(0, 1).to(dtype))
    return flat.view(vectors.shape)
