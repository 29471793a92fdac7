"""The strongest matches between two images, as the paper's first figure shows them."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lba_cli.alignment.masks import person_mask
from lba_cli.alignment.matching import matching_probability
from lba_cli.compute import exact_arithmetic


class Matches(NamedTuple):
    """The strongest matches between two images, strongest first; positions are (row, column) in the feature maps."""

    query: NDArray[np.int64]  # (M, 2)
    key: NDArray[np.int64]  # (M, 2)
    strength: NDArray[np.float64]  # (M,) matching probability × both person masks


def strongest_matches(
    query: Tensor,
    key: Tensor,
    count: int = 20,
    temperature: float = 50.0,
    among: NDArray[np.bool_] | None = None,
) -> Matches:
    """Find the strongest match of each position of the query with a position of the key, and return the ``count`` strongest of these.

    The strength of a match is its probability times the values of both images' person masks at its ends, so that matches
    between backgrounds come last.

    Args:
        query, key: (1, C, H, W) features of the two images.
        count: the largest number of matches. Each position of the query has one match.
        temperature: the number that similarities are multiplied by before the softmax.
        among: (HW,) bool, the positions of the query whose matches are considered; None for all.
    """
    with exact_arithmetic(query.device):
        probability = matching_probability(query, key, temperature)[0]  # (HW, HW)
    weighted = probability * person_mask(query).flatten()[:, None] * person_mask(key).flatten()[None, :]
    strength, position = weighted.max(dim=1)
    order = torch.argsort(strength, descending=True, stable=True).cpu()
    order = (order if among is None else order[torch.from_numpy(among)[order]])[:count]
    rows, columns = np.divmod(order.numpy(), query.shape[3])
    key_rows, key_columns = np.divmod(position.cpu()[order].numpy(), key.shape[3])
    return Matches(
        np.stack([rows, columns], axis=1),
        np.stack([key_rows, key_columns], axis=1),
        strength.cpu()[order].double().numpy(),
    )


def inner_positions(features: Tensor) -> NDArray[np.bool_]:
    """Return the (HW,) positions of (1, C, H, W) features that aren't at the image's rim.

    At the rim, convolutions see the zeros beyond the image. Features there look alike in all images, whatever they show. In maps
    with fewer than five rows or columns, every position counts as inner.
    """
    rows, columns = features.shape[2:]
    inner = np.full((rows, columns), min(rows, columns) < 5)
    inner[1:-1, 1:-1] = True
    return inner.ravel()
