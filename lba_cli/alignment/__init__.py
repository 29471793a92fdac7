"""Dense cross-modal alignment: section 3 of the paper as free functions of tensors.

Shapes, throughout this package: N images of a batch (all visible ones first, then all infrared ones, each half
grouped by identity in the same order), C channels, H × W positions, HW = H·W.
"""

from lba_cli.alignment.dense_triplet import Aligned, align, reconstruct
from lba_cli.alignment.masks import co_attention, person_mask
from lba_cli.alignment.matching import matching_probability, warp
from lba_cli.alignment.pairs import Pairs, sample_pairs

__all__ = [
    "Aligned",
    "Pairs",
    "align",
    "co_attention",
    "matching_probability",
    "person_mask",
    "reconstruct",
    "sample_pairs",
    "warp",
]
