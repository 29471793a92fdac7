"""Augmentation: each change does what it says, and nothing else."""

import numpy as np
import pytest

from lba_cli.data.augmentation import Augmentation


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(1, 256, (200, 12, 6, 3), dtype=np.uint8)


def test_the_default_flips_half_of_the_images_and_changes_nothing_else(images):
    changed = Augmentation()(images, np.random.default_rng(1))
    flipped = [np.array_equal(a, b[:, ::-1]) for a, b in zip(changed, images, strict=True)]
    same = [np.array_equal(a, b) for a, b in zip(changed, images, strict=True)]
    assert all(a or b for a, b in zip(flipped, same, strict=True))
    assert 70 < sum(flipped) < 130


def test_without_augmentation_the_result_is_a_copy(images):
    changed = Augmentation(flip=0)(images, np.random.default_rng(1))
    np.testing.assert_array_equal(changed, images)
    assert not np.shares_memory(changed, images)


def test_padding_shifts_images_over_black(images):
    changed = Augmentation(pad=2, flip=0)(images, np.random.default_rng(1))
    offsets = set()
    for before, after in zip(images, changed, strict=True):
        padded = np.pad(before, ((2, 2), (2, 2), (0, 0)))
        found = [(t, u) for t in range(5) for u in range(5) if np.array_equal(padded[t : t + 12, u : u + 6], after)]
        assert len(found) == 1
        offsets.update(found)
    assert len(offsets) == 25, "every offset occurs"


def test_erasing_fills_a_rectangle_with_the_mean_colour(images):
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
