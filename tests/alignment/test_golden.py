"""The paper's section 3 against golden figures."""

import numpy as np
import pytest
import torch

from lba_cli.alignment import Pairs, align, co_attention, matching_probability, person_mask, reconstruct, warp


@pytest.fixture(scope="module")
def case(golden):
    z = golden("alignment")
    features = torch.from_numpy(z["features"]).requires_grad_()
    return z, features, Pairs(torch.from_numpy(z["positive_index"]), torch.from_numpy(z["negative_index"]))


def close(found, wanted, bound=1e-5):
    found = found.detach().numpy()
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=bound, atol=bound)


def test_intermediate_results(case):
    z, features, pairs = case
    mask = person_mask(features)
    probability = matching_probability(features, features[pairs.positive], 50.0)
    close(mask, z["person_mask"])
    close(probability, z["matching_probability"])
    close(warp(probability, features[pairs.positive]), z["warped"])
    close(co_attention(probability, mask, mask[pairs.positive]), z["co_attention"])
    close(reconstruct(features, mask, pairs.negative)[0], z["reconstructed_negative"])


@pytest.mark.parametrize("weighting", ["batch_mean", "per_position"])
def test_dense_triplet_and_its_gradient(case, weighting):
    z, features, pairs = case
    aligned = align(features, pairs, temperature=50.0, margin=0.3, weighting=weighting)
    close(aligned.dense_triplet, z[f"dense_triplet_{weighting}"])
    close(aligned.reconstructed, z["reconstructed_positive"])
    (gradient,) = torch.autograd.grad(aligned.dense_triplet, features)
    close(gradient, z[f"grad_dense_triplet_{weighting}"])


def test_gradient_of_the_reconstruction(case):
    z, features, pairs = case
    reconstructed = align(features, pairs).reconstructed
    line = torch.linspace(-1, 1, reconstructed.numel()).view_as(reconstructed)
    (gradient,) = torch.autograd.grad((line * reconstructed).sum(), features)
    wanted = z["grad_of_linspace_dot_reconstructed"]
    assert np.abs(gradient.numpy() - wanted).max() <= 1e-5 * np.abs(wanted).max()
