"""Each step of the alignment equals the golden figures (``alignment.npz``, see tests/golden)."""

import numpy as np
import pytest
import torch

from lba_cli.alignment import Pairs, align, co_attention, matching_probability, person_mask, warp


@pytest.fixture(scope="module")
def case(golden):
    z = golden("alignment")
    features = torch.from_numpy(z["features"]).requires_grad_()
    return z, features, Pairs(torch.from_numpy(z["positive_index"]), torch.from_numpy(z["negative_index"]))


def assert_close(found, wanted):
    found = found.detach().numpy()
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_mask_probability_warp_and_co_attention(case):
    z, features, pairs = case
    mask = person_mask(features)
    probability = matching_probability(features, features[pairs.positive], 50.0)
    assert_close(mask, z["person_mask"])
    assert_close(probability, z["matching_probability"])
    assert_close(warp(probability, features[pairs.positive]), z["warped"])
    assert_close(co_attention(probability, mask, mask[pairs.positive]), z["co_attention"])


def test_reconstruction_from_negatives(case):
    z, features, pairs = case
    swapped = Pairs(positive=pairs.negative, negative=pairs.positive)
    assert_close(align(features, swapped).reconstructed, z["reconstructed_negative"])


@pytest.mark.parametrize("weighting", ["batch_mean", "per_position"])
def test_dense_triplet_and_its_gradient(case, weighting):
    z, features, pairs = case
    aligned = align(features, pairs, temperature=50.0, margin=0.3, weighting=weighting)
    assert_close(aligned.dense_triplet, z[f"dense_triplet_{weighting}"])
    assert_close(aligned.reconstructed, z["reconstructed_positive"])
    (gradient,) = torch.autograd.grad(aligned.dense_triplet, features)
    assert_close(gradient, z[f"grad_dense_triplet_{weighting}"])


def test_gradient_of_the_reconstruction(case):
    z, features, pairs = case
    reconstructed = align(features, pairs).reconstructed
    factors = torch.linspace(-1, 1, reconstructed.numel()).view_as(reconstructed)
    (gradient,) = torch.autograd.grad((factors * reconstructed).sum(), features)
    wanted = z["grad_of_linspace_dot_reconstructed"]
    assert np.abs(gradient.numpy() - wanted).max() <= 1e-5 * np.abs(wanted).max()
