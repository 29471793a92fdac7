"""A batch a few images at a time, on a CPU, so that what is made of them stays in its caches."""

from __future__ import annotations

import torch
from torch import Tensor


def in_pieces(images: Tensor, on_cpu: int) -> tuple[Tensor, ...]:
    """Views of (N, …) images: of ``on_cpu`` each on a CPU; on a GPU one of all."""
    return torch.split(images, on_cpu if images.device.type == "cpu" else max(1, len(images)))
