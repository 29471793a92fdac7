"""The alignment of a batch: reconstructions from partners, and the dense triplet loss (paper, sections 3.2 and 3.3)."""

from typing import NamedTuple

import torch
from torch import Tensor

from lba_cli.alignment.channel_vectors import ChannelVectors, to_maps
from lba_cli.alignment.gradients import masked_distances
from lba_cli.alignment.masks import co_attention, mask_from_norms
from lba_cli.alignment.matching import match, weighted_means
from lba_cli.alignment.pairs import Pairs
from lba_cli.vocabulary import WEIGHTINGS, Weighting

DIFFERENCE_EPSILON = 1e-6


class Aligned(NamedTuple):
    """The result of :func:`align`: every image reconstructed from its positive partner, and the dense triplet loss."""

    reconstructed: Tensor  # (N, C, H, W) float32
    dense_triplet: Tensor  # scalar


def align(
    features: Tensor,
    pairs: Pairs,
    *,
    temperature: float = 50.0,
    margin: float = 0.3,
    weighting: Weighting = "batch_mean",
    masks: bool = True,
) -> Aligned:
    """Align every image with its two partners, reconstruct it from them, and compute the dense triplet loss.

    With the person mask M and an image's own features f, the reconstruction from a partner's warped features w is
    f̂ = M · w + (1 − M) · f at each position. With the reconstructions f̂⁺ from the positive and f̂⁻ from the negative, the
    triplet at position p of image n is ℓ_n(p) = relu(‖f − f̂⁺‖ − ‖f − f̂⁻‖ + margin), where 1e-6 is added to every difference
    before the norm. The loss is the triplet weighted by the co-attention A of the positive pair. M and A get no gradient.

    Args:
        features: (N, C, H, W) of the whole batch, both modalities. If it is bfloat16, only the warping is computed in bfloat16.
        pairs: the partners of the N images.
        temperature: the factor of the similarities in the matching probability.
        margin: the margin of the triplet at each position, in units of the features.
        weighting: ``per_position`` is the paper's equation, the mean over n and p of A_n(p) · ℓ_n(p). ``batch_mean`` is the
            weighting of the published figures: the mean over p of (mean over n of A_n(p)) · (mean over n of ℓ_n(p)). ``uniform``,
            an ablation without co-attention, is the mean of ℓ_n(p).
        masks: whether reconstructions use the person mask. False is an ablation that warps the whole image (M = 1); the
            co-attention still uses the masks.

    Raises:
        ValueError: the weighting is unknown.

    Example:
        >>> pairs = sample_pairs(num_identities=8, num_instances=4)
        >>> align(torch.rand(64, 256, 18, 9), pairs).reconstructed.shape
        torch.Size([64, 256, 18, 9])
    """
    if weighting not in WEIGHTINGS:
        raise ValueError(f"weighting must be one of {', '.join(WEIGHTINGS)}, not {weighting!r}")
    with torch.autocast(features.device.type, enabled=False):
        own = ChannelVectors.from_maps(features)
        partners = own.partners(torch.stack([pairs.positive, pairs.negative], dim=1))
        probability = match(own, partners, temperature)  # (N, 2, HW, HW)
        warped = weighted_means(probability, partners.vectors, features.dtype)  # (N, 2, HW, C)
        mask = mask_from_norms(own.norms, features)
        position_mask = mask.flatten(1) if masks else torch.ones_like(own.norms)  # (N, HW)
        # f − f̂ = M · (f − w), so that the distances need no reconstructions.
        distance = masked_distances(own.vectors, warped, position_mask, DIFFERENCE_EPSILON)
        triplet = torch.relu(distance[:, 0] - distance[:, 1] + margin)  # (N, HW)
        if weighting == "uniform":
            loss = triplet.mean()
        else:
            attention = co_attention(probability[:, 0], mask, mask[pairs.positive]).flatten(1)  # (N, HW)
            per_position = weighting == "per_position"
            loss = (attention * triplet if per_position else attention.mean(dim=0) * triplet.mean(dim=0)).mean()
        reconstructed = torch.lerp(own.vectors, warped[:, 0].to(own.vectors.dtype), position_mask.unsqueeze(2))
        return Aligned(to_maps(reconstructed, features), loss)
