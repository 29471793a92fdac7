"""The batch-hard, the weighted and the squared triplet loss."""

import math

import numpy as np
import pytest
import torch

from lba_cli.methods import hard_triplet, squared_triplet, weighted_triplet


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


SOFT = {"weighted": weighted_triplet, "squared": squared_triplet}


@pytest.mark.parametrize("case", ["a", "b", "far"])
@pytest.mark.parametrize("kind", SOFT)
def test_golden_figures_of_soft_triplets(golden, case, kind):
    z = golden("agw")
    features = torch.from_numpy(z[f"triplet_{case}_features"]).requires_grad_()
    loss, correct = SOFT[kind](features, torch.from_numpy(z[f"triplet_{case}_labels"]))
    (gradient,) = torch.autograd.grad(loss, features)
    assert loss.item() == pytest.approx(float(z[f"triplet_{case}_{kind}"]), rel=1e-5)
    assert correct == int(z[f"triplet_{case}_{kind}_correct"])
    wanted = z[f"triplet_{case}_{kind}_grad"]
    np.testing.assert_allclose(gradient.numpy(), wanted, atol=1e-5 * max(1.0, np.abs(wanted).max()))


def soft_loop(features, labels, kind):
    """Compute a soft triplet loss and its correct anchors one by one, as the facts about AGW and CAJ say it."""
    terms, correct, count = [], 0, len(labels)
    for anchor in range(count):
        distance = [max(1e-6, float((features[anchor] - features[i]).norm())) for i in range(count)]
        sums = {}
        for sign, chosen in ((1, labels == labels[anchor]), (-1, labels != labels[anchor])):
            scores = [sign * d if one else 0.0 for d, one in zip(distance, chosen, strict=True)]
            weights = [math.exp(s - max(scores)) if one else 0.0 for s, one in zip(scores, chosen, strict=True)]
            sums[sign] = sum(w * d for w, d in zip(weights, distance, strict=True)) / (sum(weights) + 1e-6)
        gap = sums[1] - sums[-1]
        correct += gap <= 0
        exponent = gap if kind == "weighted" else min(gap**2, 88.0) * (1 if gap > 0 else -1)
        terms.append(math.log1p(math.exp(exponent)))
    return sum(terms) / count, correct


@pytest.mark.parametrize("scale", [0.3, 3.0, 30.0])
@pytest.mark.parametrize("kind", SOFT)
def test_soft_triplets_equal_a_loop_over_anchors(kind, scale):
    """Labels are repeated three times, as those of two visible views and an infrared image."""
    generator = torch.Generator().manual_seed(2)
    labels = torch.tensor([0, 0, 1, 2] * 3)
    features = scale * (torch.randn(12, 5, dtype=torch.float64, generator=generator) + labels[:, None])
    loss, correct = SOFT[kind](features, labels)
    wanted, wanted_correct = soft_loop(features, labels, kind)
    assert loss.item() == pytest.approx(wanted, rel=1e-6)
    assert correct == wanted_correct


def test_an_anchor_without_other_identities_is_at_distance_zero_from_them():
    """Of an identity alone in its batch, d⁻ is 0, so that no anchor is correct unless d⁺ is 0 too."""
    assert weighted_triplet(torch.tensor([[0.0], [4.0]]), torch.tensor([0, 0]))[1] == 0


@pytest.mark.parametrize("kind", SOFT)
def test_equal_distances_count_as_correct(kind):
    """All four points are the corners of a tetrahedron, and each identity has one point, so that d⁺ is 1e-6; or two of them."""
    corners = torch.tensor([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], dtype=torch.float64)
    assert SOFT[kind](corners, torch.arange(4))[1] == 4
    assert SOFT[kind](torch.zeros(4, 3), torch.tensor([0, 0, 1, 1]))[1] == 4, "all distances are 1e-6"


@pytest.mark.parametrize("kind", SOFT)
def test_soft_triplets_are_computed_in_float32_within_autocast(golden, kind):
    z = golden("agw")
    features, labels = torch.from_numpy(z["triplet_a_features"]), torch.from_numpy(z["triplet_a_labels"])
    with torch.autocast("cpu", torch.bfloat16):
        loss, _ = SOFT[kind](features, labels)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(SOFT[kind](features, labels)[0].item(), rel=1e-6)


@pytest.mark.parametrize("kind", SOFT)
def test_gradients_of_soft_triplets_are_finite_for_equal_and_for_far_features(kind):
    for features in (torch.ones(6, 4), torch.arange(24.0).view(6, 4) * 1e3):
        features.requires_grad_()
        SOFT[kind](features, torch.tensor([0, 0, 1, 1, 2, 2]))[0].backward()
        assert torch.isfinite(features.grad).all()
