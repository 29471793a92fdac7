"""Batches in chunks of a few images, so that intermediate results stay in a CPU's caches."""

import torch
from torch import Tensor


def in_pieces(images: Tensor, on_cpu: int) -> tuple[Tensor, ...]:
    """Split (N, …) images into views of ``on_cpu`` images each on a CPU, and into one view on a GPU."""
    return torch.split(images, on_cpu if images.device.type == "cpu" else max(1, len(images)))
