"""Feature maps as channel vectors, one per position, as the alignment uses them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from lba_cli.alignment.gradients import gather_partners, norms


class ChannelVectors(NamedTuple):
    """The channel vectors of feature maps, and their L2 norms, in float32 (float64 for float64 maps)."""

    vectors: Tensor  # (…, HW, C), a view of maps in channels-last memory
    norms: Tensor  # (…, HW)

    @classmethod
    def from_maps(cls, maps: Tensor) -> ChannelVectors:
        """Convert (N, C, H, W) maps to vectors (N, HW, C) and norms (N, HW)."""
        precise = maps if maps.dtype == torch.float64 else maps.float()
        vectors = precise.permute(0, 2, 3, 1).flatten(1, 2)
        return cls(vectors, norms(vectors))

    def partners(self, indices: Tensor) -> ChannelVectors:
        """Return the vectors (N, K, HW, C) and norms (N, K, HW) of each image's K partners; ``indices`` is (N, K) int64."""
        return ChannelVectors(*(gather_partners(values, indices) for values in self))

    def as_single_partners(self) -> ChannelVectors:
        """Insert the dimension K = 1, for images that are the only partners of other images."""
        return ChannelVectors(*(values.unsqueeze(1) for values in self))


def to_maps(vectors: Tensor, like: Tensor) -> Tensor:
    """Convert (N, HW, C) vectors to (N, C, H, W) maps of the size of ``like``, as a view in channels-last memory."""
    height, width = like.shape[2:]
    return vectors.view(len(vectors), height, width, -1).permute(0, 3, 1, 2)
