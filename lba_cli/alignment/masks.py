"""Where the person is: masks from feature norms, and where both images show the person (paper, section 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor

EPSILON = 1e-12


def person_mask(features: Tensor) -> Tensor:
    """How likely each position shows the person: L2 norms over channels, scaled to [0, 1] in each image.

    Args:
        features: (N, C, H, W).

    Returns:
        (N, 1, H, W), detached, in at least float32.
    """
    features = features.detach()
    precise = features if features.dtype == torch.float64 else features.float()
    return mask_of_lengths(torch.linalg.vector_norm(precise, dim=1, keepdim=True))


def mask_of_lengths(lengths: Tensor) -> Tensor:
    """:func:`person_mask` from the channel vectors' lengths, (N, 1, H, W) both."""
    return _scale_to_unit(lengths.detach())


def co_attention(probability: Tensor, query_mask: Tensor, key_mask: Tensor) -> Tensor:
    """Where the query shows the person and its match does as well.

    The query's mask times the key's mask brought over by the matching probability, scaled to [0, 1] in each image.

    Args:
        probability: (N, HW, HW) of the query against its partner.
        query_mask: (N, 1, H, W) person mask of the query.
        key_mask: (N, 1, H, W) person mask of the partner.

    Returns:
        (N, 1, H, W), detached.
    """
    with torch.autocast(probability.device.type, enabled=False):
        seen = torch.bmm(probability.detach(), key_mask.to(probability.dtype).flatten(2).transpose(1, 2))  # (N, HW, 1)
        return _scale_to_unit(query_mask.detach() * seen.view_as(query_mask))


def _scale_to_unit(maps: Tensor) -> Tensor:
    """Subtract the minimum of each image, then divide by its maximum (+ 1e-12)."""
    shifted = maps - maps.amin(dim=(2, 3), keepdim=True)
    return shifted / (shifted.amax(dim=(2, 3), keepdim=True) + EPSILON)
