"""The alignment equals plain loops, in every precision and shape."""

import numpy as np
import pytest
import torch
from oracles.alignment import dense_triplet

from lba_cli.alignment import align, matching_probability, person_mask, sample_pairs, warp


@pytest.mark.parametrize("masks", [True, False])
@pytest.mark.parametrize("weighting", ["batch_mean", "per_position", "uniform"])
@pytest.mark.parametrize(
    ("identities", "instances", "shape"), [(2, 1, (5, 3, 2)), (3, 2, (4, 1, 3)), (2, 3, (3, 2, 2))]
)
def test_align_equals_plain_loops(weighting, masks, identities, instances, shape):
    generator = torch.Generator().manual_seed(identities)
    features = torch.rand(2 * identities * instances, *shape, generator=generator, dtype=torch.float64)
    pairs = sample_pairs(identities, instances, generator)
    found = align(features, pairs, temperature=20.0, margin=0.2, weighting=weighting, masks=masks)
    reconstructed, loss = dense_triplet(features.numpy(), *(p.numpy() for p in pairs), 20.0, 0.2, weighting, masks)
    np.testing.assert_allclose(found.reconstructed.numpy(), reconstructed, atol=1e-9)
    assert found.dense_triplet.item() == pytest.approx(loss, abs=1e-9)


def test_autocast_does_not_change_the_alignment():
    features = torch.rand(8, 16, 4, 2)
    pairs = sample_pairs(2, 2, torch.Generator().manual_seed(0))
    plain = align(features, pairs)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = align(features, pairs)
        probability = matching_probability(features, features.flip(0))
    assert probability.dtype == torch.float32
    assert torch.equal(mixed.dense_triplet, plain.dense_triplet)
    assert torch.equal(mixed.reconstructed, plain.reconstructed)


def test_bfloat16_features_give_float32_results():
    features = torch.rand(4, 16, 4, 2).bfloat16()
    assert person_mask(features).dtype == torch.float32
    assert align(features, sample_pairs(2, 1)).reconstructed.dtype == torch.float32


def test_gradient_flows_through_probabilities_but_not_through_masks():
    features = torch.rand(4, 6, 3, 2, requires_grad=True)
    assert not person_mask(features).requires_grad
    probability = matching_probability(features, features.flip(0))
    warped = warp(probability, features.flip(0).detach())
    (gradient,) = torch.autograd.grad(warped.sum(), features)
    assert gradient.abs().sum() > 0


def test_uniform_features_give_an_empty_mask_and_a_finite_loss():
    aligned = align(torch.ones(4, 3, 2, 2, requires_grad=True), sample_pairs(2, 1))
    assert torch.isfinite(aligned.dense_triplet)
    assert torch.equal(person_mask(torch.ones(1, 3, 2, 2)), torch.zeros(1, 1, 2, 2))


def test_unknown_weighting_is_refused():
    with pytest.raises(ValueError, match="per_position"):
        align(torch.rand(4, 3, 2, 2), sample_pairs(2, 1), weighting="batchmean")
