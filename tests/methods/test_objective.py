"""The objective: its losses, how they add up, and the order of computation."""

import pytest
import torch

from lba_cli.methods import IDENTITY, METHODS, LossTerm, Method, Objective
from lba_cli.model import TwoStreamNetwork

BASELINE = {"identity", "hard_triplet", "total"}
FULL = BASELINE | {"identity_consistency_stage3", "identity_consistency_stage4", "dense_triplet"}


@pytest.fixture
def batch():
    torch.manual_seed(0)
    network = TwoStreamNetwork("resnet18", 5).train()
    labels = torch.tensor([0, 0, 3, 3, 4, 4])
    return network, torch.randn(6, 3, 64, 32), torch.randn(6, 3, 64, 32), labels


def test_total_of_the_baseline_is_the_sum_of_its_terms(batch):
    losses = Objective("baseline")(*batch)
    assert losses.keys() == BASELINE
    torch.testing.assert_close(losses["total"], losses["identity"] + losses["hard_triplet"])


def test_total_of_the_full_method_weighs_the_dense_triplet_by_a_half(batch):
    losses = Objective("full")(*batch)
    assert losses.keys() == FULL
    others = sum(losses[name] for name in FULL - {"dense_triplet", "total"})
    torch.testing.assert_close(losses["total"], others + 0.5 * losses["dense_triplet"])


def test_chosen_weights_replace_the_methods_own(batch):
    losses = Objective("baseline", weights={"identity": 2.0})(*batch)
    torch.testing.assert_close(losses["total"], 2 * losses["identity"] + losses["hard_triplet"])


def test_share_of_correct_triplets_is_a_diagnostic_and_not_a_loss(batch):
    network, visible, infrared, labels = batch
    values = Objective("baseline").evaluate(network, visible, infrared, labels, refuse_to_draw)
    assert values.losses.keys() == BASELINE
    assert values.diagnostics.keys() == {"correct_triplets"}
    assert 0 <= values.diagnostics["correct_triplets"] <= 1


def test_pairs_are_only_drawn_for_terms_that_align(batch):
    for weights in ({"identity_consistency": 0}, {"dense_triplet": 0}):
        with pytest.raises(AssertionError, match="pairs are drawn"):
            Objective("full", weights=weights).evaluate(*batch, refuse_to_draw)
    without_both = {"identity_consistency": 0, "dense_triplet": 0}
    assert Objective("full", weights=without_both).evaluate(*batch, refuse_to_draw).losses.keys() == BASELINE


def refuse_to_draw():
    raise AssertionError("pairs are drawn")


def test_full_method_runs_layer4_twice_and_the_neck_three_times(batch):
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


def test_unknown_method_is_refused():
    with pytest.raises(ValueError, match="baseline, full"):
        Objective("ful")


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (
            {"dense_triplet": 1.0},
            "the method 'baseline' has no loss term 'dense_triplet'; it has identity, hard_triplet",
        ),
        ({"identity": -0.5}, "the weight of the loss term 'identity' should be 0 or more, not -0.5"),
        ({"identity": 0, "hard_triplet": 0}, "every loss term of the method 'baseline' has weight 0"),
    ],
)
def test_invalid_weights_are_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        Objective("baseline", weights=weights)


def test_a_method_cannot_have_two_terms_of_one_name():
    again = LossTerm("identity", lambda step: {"identity": step.pooled.sum()})
    with pytest.raises(ValueError, match="two loss terms of the same name: identity, identity"):
        Method("twice", "", {IDENTITY: 1.0, again: 1.0})


@pytest.mark.parametrize("name", ["identity", "total"])
def test_a_term_cannot_return_a_loss_that_exists(batch, monkeypatch, name):
    clashing = LossTerm("other", lambda step: {name: step.pooled.sum()})
    monkeypatch.setitem(METHODS, "clashing", Method("clashing", "", {IDENTITY: 1.0, clashing: 1.0}))
    with pytest.raises(ValueError, match=f"the loss term 'other' returns a loss '{name}', which exists already"):
        Objective("clashing")(*batch)
