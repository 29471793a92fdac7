"""Who is aligned with whom: for every image one of the same and one of another identity in the other modality."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Pairs(NamedTuple):
    """Partners of the N images of a batch.

    Attributes:
        positive: (N,) int64; image ``positive[i]`` shows the identity of image i in the other modality.
        negative: (N,) int64; image ``negative[i]`` shows another identity in the other modality.
    """

    positive: Tensor
    negative: Tensor

    def to(self, device: torch.device) -> Pairs:
        """The same pairs on ``device``; from pinned memory without waiting for it."""
        return Pairs(*(index.to(device, non_blocking=True) for index in self))


def sample_pairs(num_identities: int, num_instances: int, generator: torch.Generator | None = None) -> Pairs:
    """Draw partners for a batch of B identities × P images × 2 modalities (N = 2BP; paper, section 3.2).

    Positives: within each identity a random permutation of its P images in the other modality. Negatives: for each
    identity P distinct other identities, each with a distinct one of the P positions; where there are fewer than P
    other identities they are drawn with replacement.

    Args:
        num_identities: B, at least 2.
        num_instances: P, at least 1.
        generator: a CPU generator; the global one when None.

    Raises:
        ValueError: a batch of fewer than two identities has no negatives.
    """
    if num_identities < 2 or num_instances < 1:
        raise ValueError(f"pairs need at least 2 identities and 1 image, not {num_identities} and {num_instances}")
    halves = [_sample_half(num_identities, num_instances, generator) for _ in range(2)]
    size = num_identities * num_instances
    # The partners of the visible half are infrared (second half), those of the infrared half visible (first half).
    positive = torch.cat([halves[0].positive + size, halves[1].positive])
    negative = torch.cat([halves[0].negative + size, halves[1].negative])
    return Pairs(positive, negative)


def _sample_half(num_identities: int, num_instances: int, generator: torch.Generator | None) -> Pairs:
    """Partners of one half, as indices into the other half."""
    positive, negative = [], []
    for identity in range(num_identities):
        positive.append(identity * num_instances + torch.randperm(num_instances, generator=generator))
        others = _other_identities(identity, num_identities, num_instances, generator)
        negative.append(others * num_instances + torch.randperm(num_instances, generator=generator))
    return Pairs(torch.cat(positive), torch.cat(negative))


def _other_identities(identity: int, num_identities: int, count: int, generator: torch.Generator | None) -> Tensor:
    """(count,) identities other than ``identity``, distinct where there are enough."""
    if num_identities - 1 >= count:
        drawn = torch.randperm(num_identities - 1, generator=generator)[:count]
    else:
        drawn = torch.randint(num_identities - 1, (count,), generator=generator)
    return drawn + (drawn >= identity)
