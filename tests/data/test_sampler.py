"""Identity-balanced batches: which images a step gets, on one process and on several."""

import numpy as np
import pytest

from lba_cli.data.sampler import IdentitySampler, TooFewIdentities
from lba_cli.data.samples import Sample
from lba_cli.errors import DataError


def samples_of(counts):
    """Training samples for {identity: (number of visible images, of infrared images)}."""
    return [
        Sample(f"{identity}/{modality}/{n}", identity, 1, modality, "train")
        for identity, numbers in counts.items()
        for modality, number in zip(("visible", "infrared"), numbers, strict=True)
        for n in range(number)
    ]


def test_each_batch_has_the_same_identities_and_counts_in_both_modalities():
    samples = samples_of(dict.fromkeys((3, 10, 4, 77, 21), (5, 3)))
    batches = IdentitySampler(samples, 4, 3, seed=0)
    assert batches.classes == {3: 0, 4: 1, 10: 2, 21: 3, 77: 4}
    for step in range(batches.steps):
        plan = batches.plan(0, step)
        assert len(set(plan.labels.tolist())) == 4
        assert plan.labels.tolist() == np.repeat(plan.labels[::3], 3).tolist()
        for indices, modality in ((plan.visible, "visible"), (plan.infrared, "infrared")):
            chosen = [samples[i] for i in indices]
            assert all(sample.modality == modality for sample in chosen)
            assert [batches.classes[sample.identity] for sample in chosen] == plan.labels.tolist()


def test_the_larger_modality_decides_the_number_of_steps():
    assert IdentitySampler(samples_of({1: (40, 10), 2: (24, 10)}), 2, 4, seed=0).steps == 64 // 8 + 1
    assert IdentitySampler(samples_of({1: (10, 40), 2: (10, 40)}), 2, 4, seed=0).steps == 80 // 8 + 1
    assert IdentitySampler(samples_of({1: (4, 4), 2: (4, 4)}), 2, 4, seed=0, steps=17).steps == 17


def test_images_are_sampled_with_replacement_and_identities_without():
    batches = IdentitySampler(samples_of({1: (1, 1), 2: (2, 2), 3: (2, 2)}), 2, 4, seed=0)
    repeated = [len(set(batches.plan(0, step).visible.tolist())) for step in range(50)]
    assert max(repeated) < 8
    counts = np.bincount(np.concatenate([batches.plan(0, step).labels for step in range(300)]))
    assert abs(counts / counts.sum() - 1 / 3).max() < 0.04


def test_processes_share_one_sample_of_identities():
    samples = samples_of(dict.fromkeys(range(1, 10), (5, 5)))
    shares = [IdentitySampler(samples, 3, 2, seed=5, rank=rank, size=3) for rank in range(3)]
    assert all(share.disjoint for share in shares)
    for step in range(20):
        plans = [share.plan(1, step) for share in shares]
        assert sorted(np.concatenate([plan.labels[::2] for plan in plans])) == list(range(9))
        assert len({tuple(plan.visible % 5) for plan in plans}) > 1
    assert len({shares[rank].address(0, 0) for rank in range(3)}) == 3
    assert shares[0].steps == IdentitySampler(samples, 9, 2, seed=5).steps


def test_processes_sample_on_their_own_if_there_are_too_few_identities():
    samples = samples_of(dict.fromkeys(range(1, 6), (5, 5)))
    shares = [IdentitySampler(samples, 4, 2, seed=5, rank=rank, size=2) for rank in range(2)]
    assert not shares[0].disjoint
    sampled = [[tuple(share.plan(0, step).labels) for step in range(10)] for share in shares]
    assert sampled[0] != sampled[1]
    assert all(len(set(labels)) == 4 for each in sampled for labels in each)


def test_a_single_process_samples_by_seed_stream_epoch_and_step():
    samples = samples_of(dict.fromkeys(range(1, 9), (5, 5)))
    plan = IdentitySampler(samples, 4, 2, seed=5).plan(3, 7)
    random = np.random.default_rng([5, 1, 3, 7])  # seed, stream, epoch, step
    chosen = random.choice(range(1, 9), 4, replace=False)
    assert plan.labels[::2].tolist() == [identity - 1 for identity in chosen]
    assert IdentitySampler(samples, 4, 2, seed=5).address(3, 7) == (3, 7)


def test_a_plan_depends_only_on_seed_epoch_and_step():
    samples = samples_of(dict.fromkeys(range(1, 9), (5, 5)))
    first, second = (IdentitySampler(samples, 4, 2, seed=5) for _ in range(2))
    second.plan(0, 0)
    np.testing.assert_array_equal(first.plan(3, 7).visible, second.plan(3, 7).visible)
    others = [IdentitySampler(samples, 4, 2, seed=6).plan(3, 7), first.plan(3, 8), first.plan(2, 7)]
    for other in others:
        assert first.plan(3, 7).visible.tolist() != other.visible.tolist()


def test_too_few_identities_are_refused():
    with pytest.raises(DataError, match=r"has 2 identities to train on, but a batch needs 8.*train.identities=2"):
        IdentitySampler(samples_of({1: (1, 1), 2: (1, 1)}), 8, 4, seed=0)


@pytest.mark.parametrize("people", [{1: (1, 1)}, {1: (2, 2), 2: (1, 0)}])
def test_a_single_identity_cannot_be_trained_on(people):
    with pytest.raises(TooFewIdentities, match="there is 1 identity to train on, and at least 2 are needed"):
        IdentitySampler(samples_of(people), 3, 4, seed=0, skip_incomplete=True)


def test_leaving_out_incomplete_identities_is_advised_only_if_enough_are_left():
    with pytest.raises(DataError) as caught:
        IdentitySampler(samples_of({1: (1, 1), 2: (1, 0)}), 2, 2, seed=0)
    assert "skip_incomplete" not in str(caught.value)


def test_a_data_set_without_training_images_is_refused():
    with pytest.raises(DataError, match="no images to train on"):
        IdentitySampler([Sample("x", 1, 1, "visible", "test")], 2, 2, seed=0)


def test_identities_without_a_modality_are_refused_or_left_out():
    samples = samples_of({1: (2, 2), 2: (2, 0), 3: (0, 2), 4: (2, 2), 5: (3, 0)})
    with pytest.raises(DataError) as caught:
        IdentitySampler(samples, 2, 2, seed=0)
    message = str(caught.value)
    assert "3 of 5 training identities lack a modality" in message
    assert "1 without visible images (3)" in message
    assert "2 without infrared images (2, 5)" in message
    assert "data.skip_incomplete=true" in message
    batches = IdentitySampler(samples, 2, 2, seed=0, skip_incomplete=True)
    assert batches.incomplete == (2, 3, 5)
    assert {label for step in range(20) for label in batches.plan(0, step).labels.tolist()} == {0, 3}
