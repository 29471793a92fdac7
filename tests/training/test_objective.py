"""The objective: which losses, how they add up, and the learning rate."""

import pytest
import torch

from lba_cli.model import TwoStreamNetwork
from lba_cli.training import Objective, hard_triplet, parameter_groups
from lba_cli.training.schedule import rate_factor

FULL = {"identity_consistency_stage3", "identity_consistency_stage4", "dense_triplet"}
BOTH = {"identity", "hard_triplet", "total", "correct"}


@pytest.fixture
def batch():
    torch.manual_seed(0)
    network = TwoStreamNetwork("resnet18", 5).train()
    labels = torch.tensor([0, 0, 3, 3, 4, 4])
    return network, torch.randn(6, 3, 64, 32), torch.randn(6, 3, 64, 32), labels


def test_terms_and_total_of_either_method(batch):
    network, visible, infrared, labels = batch
    full = Objective("full")(network, visible, infrared, labels)
    assert full.keys() == FULL | BOTH
    sum_of_ones = sum(full[name] for name in ("identity", "hard_triplet", *FULL - {"dense_triplet"}))
    torch.testing.assert_close(full["total"], sum_of_ones + 0.5 * full["dense_triplet"])
    baseline = Objective("baseline")(network, visible, infrared, labels)
    assert baseline.keys() == BOTH
    torch.testing.assert_close(baseline["total"], baseline["identity"] + baseline["hard_triplet"])


def test_full_runs_layer4_twice_and_the_neck_three_times(batch):
    network, visible, infrared, labels = batch
    Objective("full")(network, visible, infrared, labels)
    assert network.trunk["layer4"][0].bn1.num_batches_tracked == 2
    assert network.trunk["layer3"][0].bn1.num_batches_tracked == 1
    assert network.neck.num_batches_tracked == 3


def test_pairs_come_from_the_generator(batch):
    network, visible, infrared, labels = batch
    network.eval()
    objective = Objective("full")
    first, second, other = (
        objective(network, visible, infrared, labels, generator=torch.Generator().manual_seed(s))["dense_triplet"]
        for s in (1, 1, 2)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_unknown_method():
    with pytest.raises(ValueError, match="baseline, full"):
        Objective("ful")


def test_hard_triplet_equals_a_loop_over_anchors():
    torch.manual_seed(1)
    features, labels = torch.randn(12, 5, dtype=torch.float64), torch.tensor([0, 1, 2] * 4)
    terms, right = [], 0
    for anchor in range(12):
        distance = [float((features[anchor] - features[i]).norm()) for i in range(12)]
        far = max(d for i, d in enumerate(distance) if labels[i] == labels[anchor])
        near = min(d for i, d in enumerate(distance) if labels[i] != labels[anchor])
        terms.append(max(0.0, far - near + 0.3))
        right += near >= far
    loss, correct = hard_triplet(features, labels)
    assert loss.item() == pytest.approx(sum(terms) / 12, abs=1e-6)
    assert correct == right


def test_hard_triplet_of_one_image_an_identity_is_finite():
    loss, _ = hard_triplet(torch.randn(4, 3, requires_grad=True), torch.arange(4))
    loss.backward()
    assert torch.isfinite(loss)


def test_learning_rate_of_the_recipe():
    factors = [rate_factor(epoch, 10, (20, 50)) for epoch in range(81)]
    assert factors[:10] == pytest.approx([(epoch + 1) / 10 for epoch in range(10)])
    assert factors[10:20] == [1.0] * 10
    assert factors[20:50] == pytest.approx([0.1] * 30)
    assert factors[50:] == pytest.approx([0.01] * 31)


def test_every_trained_parameter_is_in_one_group():
    network = TwoStreamNetwork("resnet18", 5)
    slow, fast = parameter_groups(network, 0.1)
    assert slow["lr"] == pytest.approx(0.01)
    assert fast["lr"] == pytest.approx(0.1)
    grouped = [id(p) for group in (slow, fast) for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in network.parameters() if p.requires_grad)
