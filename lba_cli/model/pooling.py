"""From feature maps to one vector an image."""

from __future__ import annotations

from torch import Tensor

EXPONENT = 3.0
EPSILON = 1e-12


def generalized_mean_pool(maps: Tensor) -> Tensor:
    """Pool (N, C, H, W) maps to (N, C): (mean over positions of x³ + 1e-12)^(1/3), in at least float32.

    The maps must not be negative (they come after a ReLU); the exponent is fixed, not learned.
    """
    precise = maps if maps.element_size() >= 4 else maps.float()
    return (precise.pow(EXPONENT).mean(dim=(2, 3)) + EPSILON).pow(1 / EXPONENT)
