"""Identity-balanced batches and augmentation, as laws."""

import numpy as np
import pytest
import torch

from lba_cli.data.augmentation import Augmentation
from lba_cli.data.loaders import images_in_order, normalize, training_batches
from lba_cli.data.sampler import IdentitySampler
from lba_cli.data.samples import Sample
from lba_cli.errors import DataError


def samples_of(counts):
    """{identity: (visible, infrared)} → samples."""
    return [
        Sample(f"{identity}/{modality}/{n}", identity, 1, modality, "train")
        for identity, numbers in counts.items()
        for modality, number in zip(("visible", "infrared"), numbers, strict=True)
        for n in range(number)
    ]


def test_a_batch_is_balanced():
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


def test_steps_of_an_epoch():
    assert IdentitySampler(samples_of({1: (40, 10), 2: (24, 10)}), 2, 4, seed=0).steps == 64 // 8 + 1
    assert IdentitySampler(samples_of({1: (10, 40), 2: (10, 40)}), 2, 4, seed=0).steps == 80 // 8 + 1
    assert IdentitySampler(samples_of({1: (4, 4), 2: (4, 4)}), 2, 4, seed=0, steps=17).steps == 17


def test_images_are_drawn_with_replacement_and_identities_without():
    batches = IdentitySampler(samples_of({1: (1, 1), 2: (2, 2), 3: (2, 2)}), 2, 4, seed=0)
    repeated = [len(set(batches.plan(0, step).visible.tolist())) for step in range(50)]
    assert max(repeated) < 8
    drawn = np.bincount(np.concatenate([batches.plan(0, step).labels for step in range(300)]))
    assert abs(drawn / drawn.sum() - 1 / 3).max() < 0.04


def test_processes_share_one_draw_of_identities():
    samples = samples_of(dict.fromkeys(range(1, 10), (5, 5)))
    shares = [IdentitySampler(samples, 3, 2, seed=5, rank=rank, size=3) for rank in range(3)]
    assert all(share.apart for share in shares)
    for step in range(20):
        plans = [share.plan(1, step) for share in shares]
        assert sorted(np.concatenate([plan.labels[::2] for plan in plans])) == list(range(9))
        assert len({tuple(plan.visible % 5) for plan in plans}) > 1
    assert len({shares[rank].address(0, 0) for rank in range(3)}) == 3
    assert shares[0].steps == IdentitySampler(samples, 9, 2, seed=5).steps


def test_processes_draw_alone_where_identities_do_not_suffice():
    samples = samples_of(dict.fromkeys(range(1, 6), (5, 5)))
    shares = [IdentitySampler(samples, 4, 2, seed=5, rank=rank, size=2) for rank in range(2)]
    assert not shares[0].apart
    drawn = [[tuple(share.plan(0, step).labels) for step in range(10)] for share in shares]
    assert drawn[0] != drawn[1]
    assert all(len(set(labels)) == 4 for each in drawn for labels in each)


def test_one_process_of_one_draws_as_ever():
    samples = samples_of(dict.fromkeys(range(1, 9), (5, 5)))
    plan = IdentitySampler(samples, 4, 2, seed=5).plan(3, 7)
    random = np.random.default_rng([5, 1, 3, 7])  # seed, stream, epoch, step
    chosen = random.choice(range(1, 9), 4, replace=False)
    assert plan.labels[::2].tolist() == [identity - 1 for identity in chosen]
    assert IdentitySampler(samples, 4, 2, seed=5).address(3, 7) == (3, 7)


def test_a_plan_depends_on_seed_epoch_and_step_alone():
    samples = samples_of(dict.fromkeys(range(1, 9), (5, 5)))
    first, second = (IdentitySampler(samples, 4, 2, seed=5) for _ in range(2))
    second.plan(0, 0)
    np.testing.assert_array_equal(first.plan(3, 7).visible, second.plan(3, 7).visible)
    others = [IdentitySampler(samples, 4, 2, seed=6).plan(3, 7), first.plan(3, 8), first.plan(2, 7)]
    for other in others:
        assert first.plan(3, 7).visible.tolist() != other.visible.tolist()


def test_too_few_identities():
    with pytest.raises(DataError, match=r"has 2 identities to train on, a batch asks for 8.*train.identities=2"):
        IdentitySampler(samples_of({1: (1, 1), 2: (1, 1)}), 8, 4, seed=0)


def test_nothing_to_train_on():
    with pytest.raises(DataError, match="no images to train on"):
        IdentitySampler([Sample("x", 1, 1, "visible", "test")], 2, 2, seed=0)


def test_a_missing_modality_is_told_and_can_be_left_out():
    samples = samples_of({1: (2, 2), 2: (2, 0), 3: (0, 2), 4: (2, 2), 5: (3, 0)})
    with pytest.raises(DataError) as caught:
        IdentitySampler(samples, 2, 2, seed=0)
    message = str(caught.value)
    assert "3 of 5 training identities lack a modality" in message
    assert "1 without visible images (3)" in message
    assert "2 without infrared images (2, 5)" in message
    assert "data.skip_incomplete=true" in message
    batches = IdentitySampler(samples, 2, 2, seed=0, skip_incomplete=True)
    assert batches.left_out == (2, 3, 5)
    assert {label for step in range(20) for label in batches.plan(0, step).labels.tolist()} == {0, 3}


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(1, 256, (200, 12, 6, 3), dtype=np.uint8)


def test_the_recipes_augmentation_is_a_flip_of_half_the_images(images):
    changed = Augmentation()(images, np.random.default_rng(1))
    flipped = [np.array_equal(a, b[:, ::-1]) for a, b in zip(changed, images, strict=True)]
    same = [np.array_equal(a, b) for a, b in zip(changed, images, strict=True)]
    assert all(a or b for a, b in zip(flipped, same, strict=True))
    assert 70 < sum(flipped) < 130


def test_no_augmentation_changes_nothing(images):
    changed = Augmentation(flip=0)(images, np.random.default_rng(1))
    np.testing.assert_array_equal(changed, images)
    assert not np.shares_memory(changed, images)


def test_padding_shifts_within_black(images):
    changed = Augmentation(pad=2, flip=0)(images, np.random.default_rng(1))
    offsets = set()
    for before, after in zip(images, changed, strict=True):
        padded = np.pad(before, ((2, 2), (2, 2), (0, 0)))
        found = [(t, u) for t in range(5) for u in range(5) if np.array_equal(padded[t : t + 12, u : u + 6], after)]
        assert len(found) == 1
        offsets.update(found)
    assert len(offsets) == 25, "every offset is drawn"


def test_erasing_fills_a_rectangle_with_the_mean(images):
    changed = Augmentation(flip=0, erase=1.0)(images, np.random.default_rng(1))
    shares = []
    for before, after in zip(images, changed, strict=True):
        different = (before != after).any(axis=2)
        rows, columns = np.nonzero(different)
        if not len(rows):
            continue
        box = after[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert (box.reshape(-1, 3) == [124, 116, 104]).all()
        shares.append(box[..., 0].size / different.size)
    assert len(shares) > 150
    assert min(shares) > 0.01
    assert max(shares) < 0.55


def test_normalize(images):
    found = normalize(torch.from_numpy(images[:2]))
    mean, deviation = (torch.tensor(v).view(3, 1, 1) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    wanted = (torch.from_numpy(images[:2]).permute(0, 3, 1, 2) / 255 - mean) / deviation
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
    assert found.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("workers", [0, 2])
def test_loaded_batches_do_not_depend_on_workers(source, workers):
    batches = IdentitySampler(source.samples, 3, 2, seed=0)
    positions = [(0, 0), (0, 1), (1, 0)]
    loaded = list(training_batches(source, batches, Augmentation(), 0, positions, workers=workers, pin=False))
    assert len(loaded) == 3
    for (epoch, step), batch in zip(positions, loaded, strict=True):
        plan = batches.plan(epoch, step)
        assert batch.labels.tolist() == plan.labels.tolist()
        plain = source.read(plan.infrared.tolist())
        for found, wanted in zip(batch.infrared.numpy(), plain, strict=True):
            assert np.array_equal(found, wanted) or np.array_equal(found, wanted[:, ::-1])
    total = sum(int(batch.visible.sum()) for batch in loaded)
    serial = training_batches(source, batches, Augmentation(), 0, positions, workers=0, pin=False)
    assert total == sum(int(batch.visible.sum()) for batch in serial)


def test_images_in_order(source):
    indices = [4, 2, 9, 9, 0]
    loaded = torch.cat(list(images_in_order(source, indices, 2, workers=0, pin=False)))
    np.testing.assert_array_equal(loaded.numpy(), source.read(indices))
