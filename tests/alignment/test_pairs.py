"""Sampling the partners that images are aligned with."""

import pytest
import torch

from lba_cli.alignment import sample_pairs


@pytest.mark.parametrize(("identities", "instances"), [(8, 4), (5, 4), (2, 1), (3, 7)])
def test_partners_have_the_other_modality_and_the_right_identity(identities, instances):
    half = identities * instances
    labels = torch.arange(identities).repeat_interleave(instances).repeat(2)
    modality = torch.arange(2 * half) >= half
    for seed in range(20):
        positive, negative = sample_pairs(identities, instances, torch.Generator().manual_seed(seed))
        assert positive.dtype == negative.dtype == torch.int64
        assert (modality[positive] != modality).all()
        assert (modality[negative] != modality).all()
        assert (labels[positive] == labels).all()
        assert (labels[negative] != labels).all()
        assert sorted(positive.tolist()) == list(range(2 * half)), "a permutation within each identity"


def test_negatives_of_an_identity_are_distinct_identities_and_positions():
    for seed in range(20):
        _, negative = sample_pairs(8, 4, torch.Generator().manual_seed(seed))
        for group in (negative % 32).view(-1, 4):
            assert len(set((group // 4).tolist())) == 4
            assert sorted((group % 4).tolist()) == [0, 1, 2, 3]


def test_identities_are_drawn_with_replacement_where_there_are_too_few():
    _, negative = sample_pairs(3, 5, torch.Generator().manual_seed(0))
    assert len(set((negative[:5] % 15 // 5).tolist())) <= 2
    assert sorted((negative[:5] % 5).tolist()) == [0, 1, 2, 3, 4]


def test_every_other_identity_is_drawn_equally_often():
    generator = torch.Generator().manual_seed(1)
    counts = torch.zeros(4)
    for _ in range(500):
        _, negative = sample_pairs(4, 2, generator)
        counts += torch.bincount(negative[:2] % 8 // 2, minlength=4)
    assert counts[0] == 0
    assert (counts[1:] / counts.sum() - 1 / 3).abs().max() < 0.05


@pytest.mark.parametrize(("identities", "instances"), [(8, 4), (2, 1), (3, 7)])
def test_partners_across_views_have_the_other_modality_and_the_right_identity(identities, instances):
    size = identities * instances
    labels = torch.arange(identities).repeat_interleave(instances).repeat(3)
    part = torch.arange(3).repeat_interleave(size)  # two visible views, then infrared
    seen = set()
    for seed in range(20):
        positive, negative = sample_pairs(identities, instances, torch.Generator().manual_seed(seed), visible_views=2)
        assert positive.shape == negative.shape == (3 * size,)
        for partners in (positive, negative):
            assert (part[partners[: 2 * size]] == 2).all(), "partners of visible images are infrared"
            assert (part[partners[2 * size :]] < 2).all(), "partners of infrared images are visible"
        assert (labels[positive] == labels).all()
        assert (labels[negative] != labels).all()
        for view in range(2):
            assert sorted(positive[view * size : (view + 1) * size].tolist()) == list(range(2 * size, 3 * size))
        views = part[positive[2 * size :]]
        assert torch.equal(views, part[negative[2 * size :]]), "both partners of an infrared image are of the same view"
        seen.update(views.tolist())
    assert seen == {0, 1}


def test_same_seed_gives_same_pairs():
    first, second = (sample_pairs(4, 2, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first.positive, second.positive)
    assert torch.equal(first.negative, second.negative)


def test_a_batch_of_one_identity_is_refused():
    with pytest.raises(ValueError, match="at least 2 identities"):
        sample_pairs(1, 4)
