"""Partners to align with: for each image one of the same and one of another identity, both in the other modality."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Pairs(NamedTuple):
    """The partners of the N images of a batch, as two (N,) int64 tensors of indices.

    In the other modality, image ``positive[i]`` shows the identity of image i, and image ``negative[i]`` another identity.
    """

    positive: Tensor
    negative: Tensor

    def to(self, device: torch.device) -> Pairs:
        """Copy the pairs to ``device``, without waiting for it if that is a GPU of CUDA."""
        return Pairs(*(index.to(device, non_blocking=device.type == "cuda") for index in self))


def sample_pairs(
    num_identities: int, num_instances: int, generator: torch.Generator | None = None, visible_views: int = 1
) -> Pairs:
    """Draw partners for a batch of B identities × P images × 2 modalities (N = 2BP; paper, section 3.2).

    The positives of an identity are a random permutation of its P images in the other modality. Its negatives show P
    distinct other identities, and each negative is at a different one of the P positions within its identity. If there are
    fewer than P other identities, they are drawn with replacement.

    If visible images are seen in V views (N = (V + 1)·BP), the images of each view draw infrared partners of their own. An
    infrared image draws the view that both of its partners are from.

    Args:
        num_identities, num_instances: B, at least 2, and P, at least 1.
        generator: a CPU generator; if None, PyTorch's global generator.
        visible_views: V, at least 1.

    Returns:
        Indices into the batch, two (N,) int64 tensors on the CPU.

    Raises:
        ValueError: there are fewer than two identities, so that there are no negatives, or an identity has no image.

    Example:
        >>> pairs = sample_pairs(num_identities=8, num_instances=4)
        >>> pairs.positive.shape  # 8 identities × 4 images × 2 modalities
        torch.Size([64])
    """
    if num_identities < 2 or num_instances < 1:
        raise ValueError(f"pairs need at least 2 identities and 1 image each, not {num_identities} and {num_instances}")
    *visible, infrared = [_sample_part(num_identities, num_instances, generator) for _ in range(visible_views + 1)]
    size = num_identities * num_instances
    # The partners of visible images are in the last, infrared part of the batch, and those of infrared images in a visible part.
    start = size * torch.randint(visible_views, (size,), generator=generator) if visible_views > 1 else 0
    return Pairs(
        *(
            torch.cat([*(each + visible_views * size for each in seen), other + start])
            for *seen, other in zip(*visible, infrared, strict=True)
        )
    )


def _sample_part(num_identities: int, num_instances: int, generator: torch.Generator | None) -> Pairs:
    """Draw the partners of the images of one modality and view, as indices into a part of the other modality's."""
    positive, negative = [], []
    for identity in range(num_identities):
        positive.append(identity * num_instances + torch.randperm(num_instances, generator=generator))
        others = _other_identities(identity, num_identities, num_instances, generator)
        negative.append(others * num_instances + torch.randperm(num_instances, generator=generator))
    return Pairs(torch.cat(positive), torch.cat(negative))


def _other_identities(identity: int, num_identities: int, count: int, generator: torch.Generator | None) -> Tensor:
    """Draw ``count`` identities other than ``identity``. They are distinct if there are enough identities."""
    if num_identities - 1 >= count:
        drawn = torch.randperm(num_identities - 1, generator=generator)[:count]
    else:
        drawn = torch.randint(num_identities - 1, (count,), generator=generator)
    return drawn + (drawn >= identity)
