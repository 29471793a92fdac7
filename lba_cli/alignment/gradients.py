"""Two functions of large tensors whose gradients are taken in fewer passes over memory than PyTorch's own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


def of_partners(values: Tensor, partner: Tensor) -> Tensor:
    """``values[partner]``: (N, …) → (N, …), ``partner`` (N,) int64.

    Its gradient is a product with a matrix of zeros and ones, N × N: quicker than adding images up one by one, and with
    the same result every time on a GPU too.
    """
    result: Tensor = _OfPartners.apply(values, partner)
    return result


def lengths(vectors: Tensor) -> Tensor:
    """L2 norms over the last dimension, (…, C) → (…); the gradient is zero where the length is."""
    result: Tensor = _Lengths.apply(vectors)
    return result


class _OfPartners(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, partner: Tensor) -> Tensor:
        """Gather."""
        ctx.save_for_backward(partner)
        ctx.count = len(values)
        return values[partner]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """Add up what each image gets from those whose partner it is."""
        (partner,) = ctx.saved_tensors
        chosen = F.one_hot(partner, ctx.count).to(gradient.dtype)
        return (chosen.T @ gradient.flatten(1)).view(ctx.count, *gradient.shape[1:]), None


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
        share = torch.where(norms > 0, gradient / norms, 0)
        result: Tensor = vectors * share.unsqueeze(-1)
        return result
