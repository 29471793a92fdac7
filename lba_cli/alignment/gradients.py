"""Functions of large tensors with custom gradients, which pass over memory less often than PyTorch's.

The vectors of a training batch are larger than any cache (64 images of 162 positions and 2048 channels: 85 MB), so reading
and writing them takes nearly all the time of these functions. None of the functions has a second derivative.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


def gather_partners(values: Tensor, indices: Tensor) -> Tensor:
    """Compute ``values[indices]``: (N, …) → (N, K, …) for ``indices`` (N, K) int64, which may be on another device.

    The gradient is a product with a matrix of zeros and ones, so that a GPU sums in the same order every time. With PyTorch's
    own gradient, an accumulating ``index_put``, the last bits would differ from run to run. On one CPU core the product takes
    three times as long (0.14 s instead of 0.04 s for 64 images of 162 × 1024), but unlike PyTorch's gradient it uses all cores.
    """
    result: Tensor = _GatherPartners.apply(values, indices.to(values.device))
    return result


def norms(vectors: Tensor) -> Tensor:
    """Compute L2 norms over the last dimension, (…, C) → (…).

    The gradient is zero where the norm is zero. PyTorch's own gradient divides all vectors by their norms, multiplies them by
    the norms' gradients, and masks the result. This needs two more passes over memory, and takes seven times as long on one core.
    """
    result: Tensor = _Norms.apply(vectors)
    return result


def masked_distances(vectors: Tensor, others: Tensor, mask: Tensor, epsilon: float) -> Tensor:
    """Compute ‖mask · (vectors − others) + epsilon‖ over the channels, between each vector and its K ``others``.

    Args:
        vectors: (N, HW, C).
        others: (N, K, HW, C), of any floating-point dtype.
        mask: (N, HW); it gets no gradient.

    Returns:
        (N, K, HW), of the dtype of ``vectors``.

    PyTorch's own gradient keeps the difference, the product and the sum, each as large as ``others``, and passes over each
    of them once more, which takes five times as long on one core. This gradient keeps only one such tensor.
    """
    result: Tensor = _MaskedDistances.apply(vectors, others, mask, epsilon)
    return result


class _GatherPartners(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, indices: Tensor) -> Tensor:
        ctx.save_for_backward(indices)
        ctx.count = len(values)
        return values[indices]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (indices,) = ctx.saved_tensors
        chosen = F.one_hot(indices.flatten(), ctx.count).to(gradient.dtype)
        shape = ctx.count, *gradient.shape[2:]
        return (chosen.T @ gradient.reshape(len(chosen), -1)).view(shape), None


class _Norms(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, vectors: Tensor) -> Tensor:
        result: Tensor = torch.linalg.vector_norm(vectors, dim=-1)
        ctx.save_for_backward(vectors, result)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        vectors, norms = ctx.saved_tensors
        factor = (gradient / norms).masked_fill_(norms == 0, 0)
        result: Tensor = vectors * factor.unsqueeze(-1)
        return result


class _MaskedDistances(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, vectors: Tensor, others: Tensor, mask: Tensor, epsilon: float) -> Tensor:
        differences = (vectors.unsqueeze(1) - others).mul_(mask[:, None, :, None]).add_(epsilon)
        result: Tensor = torch.linalg.vector_norm(differences, dim=-1)
        ctx.save_for_backward(differences, result, mask)
        ctx.dtype = others.dtype
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        differences, norms, mask = ctx.saved_tensors
        factor = (gradient / norms).masked_fill_(norms == 0, 0) * mask[:, None]
        gradients = differences * factor.unsqueeze(-1)
        return gradients.sum(dim=1), gradients.to(ctx.dtype).neg_(), None, None
