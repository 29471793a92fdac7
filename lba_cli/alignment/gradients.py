"""Functions of large tensors whose gradients are taken in fewer passes over memory than PyTorch's own.

There are no second gradients.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


def of_partners(values: Tensor, partners: Tensor) -> Tensor:
    """``values[partners]``: (N, …) → (N, K, …), ``partners`` (N, K) int64, on any device.

    Its gradient is a product with a matrix of zeros and ones: quicker than adding images up one by one, and with the same
    result every time on a GPU too.
    """
    result: Tensor = _OfPartners.apply(values, partners.to(values.device))
    return result


def lengths(vectors: Tensor) -> Tensor:
    """L2 norms over the last dimension, (…, C) → (…); the gradient is zero where the length is."""
    result: Tensor = _Lengths.apply(vectors)
    return result


def masked_distances(vectors: Tensor, others: Tensor, mask: Tensor, epsilon: float) -> Tensor:
    """‖mask · (vectors − others) + epsilon‖ over channels, for K others of each.

    Args:
        vectors: (N, P, C).
        others: (N, K, P, C), in any precision.
        mask: (N, P), a constant.
        epsilon: added to every difference.

    Returns:
        (N, K, P).
    """
    result: Tensor = _MaskedDistances.apply(vectors, others, mask, epsilon)
    return result


class _OfPartners(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, partners: Tensor) -> Tensor:
        """Gather."""
        ctx.save_for_backward(partners)
        ctx.count = len(values)
        return values[partners]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """Add up what each image gets from those whose partner it is."""
        (partners,) = ctx.saved_tensors
        chosen = F.one_hot(partners.flatten(), ctx.count).to(gradient.dtype)
        shape = ctx.count, *gradient.shape[2:]
        return (chosen.T @ gradient.reshape(len(chosen), -1)).view(shape), None


class _Lengths(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, vectors: Tensor) -> Tensor:
        """Norms."""
        result: Tensor = torch.linalg.vector_norm(vectors, dim=-1)
        ctx.save_for_backward(vectors, result)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """Each vector in its direction."""
        vectors, norms = ctx.saved_tensors
        share = (gradient / norms).masked_fill_(norms == 0, 0)
        result: Tensor = vectors * share.unsqueeze(-1)
        return result


class _MaskedDistances(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, vectors: Tensor, others: Tensor, mask: Tensor, epsilon: float) -> Tensor:
        """Norms of differences, which are kept."""
        differences = (vectors.unsqueeze(1) - others).mul_(mask[:, None, :, None]).add_(epsilon)
        result: Tensor = torch.linalg.vector_norm(differences, dim=-1)
        ctx.save_for_backward(differences, result, mask)
        ctx.dtype = others.dtype
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        """Each difference in its direction."""
        differences, norms, mask = ctx.saved_tensors
        share = (gradient / norms).masked_fill_(norms == 0, 0) * mask[:, None]
        each = differences * share.unsqueeze(-1)
        return each.sum(dim=1), each.to(ctx.dtype).neg_(), None, None
