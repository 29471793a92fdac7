"""Dense cross-modal alignment: section 3 of the paper as free functions of tensors.

Shapes in this package:

====  ==========================================================================================================
N     images of a batch: all visible ones, then all infrared ones, each half grouped by identity in the same order
K     partners of an image
C     channels of a feature map
H, W  height and width of a feature map; HW = H·W positions, row by row
====  ==========================================================================================================
"""

from lba_cli.alignment.dense_triplet import Aligned, align
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
    "sample_pairs",
    "warp",
]
