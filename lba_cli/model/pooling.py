"""Pooling: from feature maps to one vector per image."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

EXPONENT = 3.0
EPSILON = 1e-12
CPU_IMAGES = 2  # images that a CPU pools at a time


def generalized_mean_pool(maps: Tensor) -> Tensor:
    """Pool feature maps by the generalised mean over positions, (mean(x³) + 1e-12)^(1/3).

    The exponent is fixed, not learned. There is no second derivative.

    Args:
        maps: (N, C, H, W), not negative, as they are after a ReLU.

    Returns:
        (N, C), in float32 or, for float64 maps, float64.
    """
    # is_compiling is also true during an export
    if maps.requires_grad and torch.is_grad_enabled() and not torch.compiler.is_compiling():
        result: Tensor = _Pool.apply(maps)
        return result
    return _pooled(maps)


class _Pool(torch.autograd.Function):
    """Pooling that saves only maps and result for the backward pass; autograd would save two more copies in float32."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor) -> Tensor:
        result = torch.cat([_pooled(few) for few in in_pieces(maps, CPU_IMAGES)])
        ctx.save_for_backward(maps, result)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        # x² / result² / HW times the gradient of the result, a few images at a time
        maps, result = ctx.saved_tensors
        scale = gradient / result.pow(EXPONENT - 1) / maps.shape[2:].numel()
        gradients = torch.empty_like(maps)
        for into, few, factor in zip(*(in_pieces(each, CPU_IMAGES) for each in (gradients, maps, scale)), strict=True):
            into.copy_(_precise(few).pow(EXPONENT - 1).mul_(factor[:, :, None, None]))
        return gradients


def in_pieces(images: Tensor, on_cpu: int) -> tuple[Tensor, ...]:
    """Split (N, …) images into views: a single one on a GPU; on a CPU, ``on_cpu`` images each, which fit in its caches."""
    return torch.split(images, on_cpu if images.device.type == "cpu" else max(1, len(images)))


def _pooled(maps: Tensor) -> Tensor:
    return (_precise(maps).pow(EXPONENT).mean(dim=(2, 3)) + EPSILON).pow(1 / EXPONENT)


def _precise(maps: Tensor) -> Tensor:
    return maps if maps.element_size() >= 4 else maps.float()
