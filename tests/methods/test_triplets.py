"""The batch-hard triplet loss."""

import numpy as np
import pytest
import torch

from lba_cli.methods import hard_triplet


def test_golden_figures(golden):
    z = golden("pooling_and_hard_triplet")
    features = torch.from_numpy(z["features"]).requires_grad_()
    loss, correct = hard_triplet(features, torch.from_numpy(z["labels"]), margin=float(z["margin"]))
    (gradient,) = torch.autograd.grad(loss, features)
    assert loss.item() == pytest.approx(float(z["hard_triplet"]), abs=1e-5)
    assert correct == int(z["correct"])
    np.testing.assert_allclose(gradient.numpy(), z["grad_hard_triplet"], atol=1e-5)


def test_equals_a_loop_over_anchors():
    torch.manual_seed(1)
    labels = torch.tensor([0, 1, 2] * 4)
    features = torch.randn(12, 5, dtype=torch.float64) + 2 * labels[:, None]
    terms, expected_correct = [], 0
    for anchor in range(12):
        distance = [float((features[anchor] - features[i]).norm()) for i in range(12)]
        far = max(d for i, d in enumerate(distance) if labels[i] == labels[anchor])
        near = min(d for i, d in enumerate(distance) if labels[i] != labels[anchor])
        terms.append(max(0.0, far - near + 0.3))
        expected_correct += near >= far
    loss, correct = hard_triplet(features, labels)
    assert loss.item() == pytest.approx(sum(terms) / 12, abs=1e-6)
    assert correct == expected_correct
    assert 0 < correct < 12


def test_gradient_is_finite_for_one_image_per_identity():
    """The farthest positive of each anchor is the anchor itself, at distance 0."""
    features = torch.randn(4, 3).mul_(0.01).requires_grad_()
    loss, _ = hard_triplet(features, torch.arange(4))
    loss.backward()
    assert loss > 0
    assert torch.isfinite(features.grad).all()
