"""Verification: the figures against sorting and counting, and the errors."""

import numpy as np
import pytest
from oracles import verification as oracle

from lba_cli.evaluation import verification
from lba_cli.evaluation.verification import FAR_LEVELS


def random_pairs(seed, count, ties):
    random = np.random.default_rng(seed)
    same = random.random(count) < 0.2
    same[:2] = (True, False)
    scores = random.normal(same * random.uniform(0, 3), 1.0)
    return (np.round(scores, 1) if ties else scores), same


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_figures_equal_those_of_sorting_and_counting(seed, ties):
    scores, same = random_pairs(seed, 700, ties)
    found = verification(scores, same)
    listed = scores.tolist(), same.tolist()
    assert found.auc == pytest.approx(oracle.auc(*listed), abs=1e-9)
    assert found.eer == pytest.approx(oracle.eer(*listed), abs=1e-9)
    assert (found.genuine, found.impostors) == (same.sum(), (~same).sum())
    for far, rate in found.tar_at_far.items():
        expected, threshold = oracle.tar_at_far(*listed, far)
        assert rate == pytest.approx(expected, abs=1e-9)
        assert found.threshold_at_far[far] == threshold
        assert oracle.rates(*listed, threshold)[0] <= far


def test_rates_that_few_impostors_would_decide_are_not_given():
    for impostors, levels in ((9, 0), (99, 0), (100, 1), (999, 1), (1_000, 2), (100_000, 4)):
        scores = np.concatenate([np.linspace(0, 1, impostors), [0.5]])
        same = np.arange(impostors + 1) == impostors
        assert tuple(verification(scores, same).tar_at_far) == FAR_LEVELS[:levels]


def test_perfect_worthless_and_inverted_scores():
    same = np.repeat([True, False], 100)
    perfect = verification(np.repeat([1.0, 0.0], 100), same)
    assert (perfect.auc, perfect.eer, perfect.tar_at_far, perfect.threshold_at_far) == (
        1.0,
        0.0,
        {0.1: 1.0},
        {0.1: 1.0},
    )
    equal = verification(np.zeros(200), same)
    assert (equal.auc, equal.eer, equal.tar_at_far) == (0.5, 0.5, {0.1: 0.0})
    assert equal.threshold_at_far == {0.1: np.inf}
    assert verification(np.repeat([0.0, 1.0], 100), same).auc == 0.0
    assert verification(np.repeat([0.0, 1.0], 100), same).eer == 1.0


def test_figures_have_plain_names():
    found = verification(*random_pairs(0, 700, False)).figures()
    assert list(found) == ["auc", "eer", "tar_at_0.1", "threshold_at_0.1"]


@pytest.mark.parametrize(
    ("scores", "same", "words"),
    [
        ([0.1, 0.2], [True], "should be"),
        ([[0.1]], [[True]], "should be"),
        ([0.1, 0.2], [1, 0], "should be"),
        ([0.1, float("nan")], [True, False], "finite"),
        ([0.1, 0.2], [True, True], "pairs of two people"),
        ([0.1, 0.2], [False, False], "pairs of one person"),
        ([], [], "should be"),
    ],
)
def test_pairs_that_make_no_sense_are_refused(scores, same, words):
    with pytest.raises(ValueError, match=words):
        verification(scores, same)
