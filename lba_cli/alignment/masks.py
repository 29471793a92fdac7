"""Person masks, and the co-attention of two images: where both show the person (paper, section 3.2)."""

import torch
from torch import Tensor

from lba_cli.alignment.channel_vectors import ChannelVectors, to_maps

EPSILON = 1e-12


def person_mask(features: Tensor) -> Tensor:
    """Estimate the probability that a position shows the person, from the L2 norms of the channel vectors.

    The norms are scaled to [0, 1] in each image: their minimum is subtracted, and the result is divided by its
    maximum (+ 1e-12). An image whose norms are all equal gets a mask of zeros.

    Args:
        features: (N, C, H, W).

    Returns:
        (N, 1, H, W) float32 (float64 for float64 features), without a gradient.
    """
    return mask_from_norms(ChannelVectors.from_maps(features.detach()).norms, features)


def mask_from_norms(norms: Tensor, like: Tensor) -> Tensor:
    """Compute :func:`person_mask` from the norms (N, HW) of the channel vectors of the maps ``like``."""
    return _scale_to_unit(to_maps(norms.detach().unsqueeze(2), like))


def co_attention(probability: Tensor, query_mask: Tensor, key_mask: Tensor) -> Tensor:
    """Estimate where both the query and its match show the person.

    With the mask M of the query and the mask N of its partner, A(p) = M(p) · Σ_q P(p, q) · N(q), scaled to [0, 1] in each image.

    Args:
        probability: (N, HW, HW) matching probabilities P of the query and its partner.
        query_mask: (N, 1, H, W) person masks of the queries.
        key_mask: (N, 1, H, W) person masks of the partners.

    Returns:
        (N, 1, H, W), without a gradient.
    """
    with torch.autocast(probability.device.type, enabled=False):
        key_vectors = key_mask.to(probability.dtype).flatten(2).transpose(1, 2)  # (N, HW, 1)
        warped = torch.bmm(probability.detach(), key_vectors).view_as(query_mask)
        return _scale_to_unit(query_mask.detach() * warped)


def _scale_to_unit(maps: Tensor) -> Tensor:
    shifted = maps - maps.amin(dim=(2, 3), keepdim=True)
    return shifted / (shifted.amax(dim=(2, 3), keepdim=True) + EPSILON)
