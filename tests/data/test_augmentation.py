"""Augmentation: each change does what it says, and nothing else."""

import numpy as np
import pytest

from lba_cli.data.augmentation import BLUE, ERASED_COLOURS, GRAY, RED, UNCHANGED, Augmentation
from lba_cli.data.image_files import MEAN, STANDARD_DEVIATION


def augmented(images, augmentation, exchange=None):
    parameters = augmentation.sample(*images.shape[:3], np.random.default_rng(1), exchange=exchange)
    return augmentation.apply(images, parameters)


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(1, 256, (200, 12, 6, 3), dtype=np.uint8)


def test_the_default_flips_half_of_the_images_and_changes_nothing_else(images):
    changed = augmented(images, Augmentation())
    flipped = [np.array_equal(a, b[:, ::-1]) for a, b in zip(changed, images, strict=True)]
    same = [np.array_equal(a, b) for a, b in zip(changed, images, strict=True)]
    assert all(a or b for a, b in zip(flipped, same, strict=True))
    assert 70 < sum(flipped) < 130


def test_without_augmentation_the_result_is_a_copy(images):
    changed = augmented(images, Augmentation(flip=0))
    np.testing.assert_array_equal(changed, images)
    assert not np.shares_memory(changed, images)


def test_padding_shifts_images_over_black(images):
    changed = augmented(images, Augmentation(pad=2, flip=0))
    offsets = set()
    for before, after in zip(images, changed, strict=True):
        padded = np.pad(before, ((2, 2), (2, 2), (0, 0)))
        found = [(t, u) for t in range(5) for u in range(5) if np.array_equal(padded[t : t + 12, u : u + 6], after)]
        assert len(found) == 1
        offsets.update(found)
    assert len(offsets) == 25, "every offset occurs"


def test_erasing_fills_a_rectangle_with_the_published_colour(images):
    changed = augmented(images, Augmentation(flip=0, erase=1.0))
    shares = []
    for before, after in zip(images, changed, strict=True):
        different = (before != after).any(axis=2)
        rows, columns = np.nonzero(different)
        if not len(rows):
            continue
        box = after[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert (box.reshape(-1, 3) == [152, 144, 129]).all()
        shares.append(box[..., 0].size / different.size)
    assert len(shares) > 150
    assert min(shares) > 0.01
    assert max(shares) < 0.55


def test_the_erased_colour_is_the_published_one_after_normalisation():
    normalized = (ERASED_COLOURS / 255 - MEAN) / STANDARD_DEVIATION
    half = 0.5 / 255 / min(STANDARD_DEVIATION)  # pixels are whole bytes
    np.testing.assert_allclose(normalized[UNCHANGED], [0.4914, 0.4822, 0.4465], atol=half)
    np.testing.assert_allclose(normalized[RED], [0.4914] * 3, atol=half)
    np.testing.assert_allclose(normalized[BLUE], [0.4465] * 3, atol=half)
    np.testing.assert_allclose(normalized[GRAY], [0.299 * 0.4914 + 0.587 * 0.4822 + 0.114 * 0.4465] * 3, atol=half)


def share(flags):
    return pytest.approx(np.mean(list(flags)), abs=0.1)


def test_an_exchanged_visible_image_is_three_copies_of_one_of_its_channels(images):
    changed = augmented(images, Augmentation(flip=0, channel_exchange=1.0), "visible")
    chosen = [
        [c for c in range(3) if (after == before[..., c : c + 1]).all()]
        for before, after in zip(images, changed, strict=True)
    ]
    assert {len(each) for each in chosen} == {1}
    for channel in range(3):
        assert share(each == [channel] for each in chosen) == 1 / 3


def test_of_an_exchanged_infrared_image_only_the_erased_patch_changes(images):
    images[..., :] = images[..., :1]
    plain = augmented(images, Augmentation(flip=0, channel_exchange=1.0), "infrared")
    np.testing.assert_array_equal(plain, images)
    augmentation = Augmentation(flip=0, erase=1.0, channel_exchange=1.0)
    parameters = augmentation.sample(2000, 12, 6, np.random.default_rng(1), exchange="infrared")
    channels = [each.channel for each in parameters]
    for channel, wanted in enumerate((1 / 4, 1 / 4, 1 / 4, 1 / 8, 1 / 8)):
        assert channels.count(channel) / 2000 == pytest.approx(wanted, abs=0.03)
    changed = augmentation.apply(images, parameters[:200])
    for before, after, each in zip(images, changed, parameters[:200], strict=True):
        different = after[(before != after).any(axis=2)]
        assert (different == ERASED_COLOURS[each.channel]).all()


def test_gray_is_a_weighted_sum_of_the_channels(images):
    augmentation = Augmentation(flip=0, channel_exchange=1.0)
    parameters = augmentation.sample(200, 12, 6, np.random.default_rng(1), exchange="infrared")
    gray = [row for row, each in enumerate(parameters) if each.channel == GRAY]
    changed = augmentation.apply(images, parameters)[gray]
    assert len(gray) > 10
    np.testing.assert_allclose(changed, (images[gray] @ [[0.299], [0.587], [0.114]]).repeat(3, 3), atol=0.51)


def test_of_two_views_only_the_second_has_its_channels_exchanged():
    augmentation = Augmentation(2, 0.5, 0.5, channel_exchange=1.0, visible_views=2)
    first, second, infrared = augmentation.sample_step(50, 12, 6, np.random.default_rng(1))
    assert {each.channel for each in first} == {UNCHANGED}
    assert UNCHANGED not in {each.channel for each in second}
    assert len({each.channel for each in infrared}) == 5
    assert [each[:7] for each in first] != [each[:7] for each in second], "each view has parameters of its own"


def test_part_of_the_images_is_exchanged():
    parameters = Augmentation(channel_exchange=0.3).sample(1000, 12, 6, np.random.default_rng(1), exchange="visible")
    assert share(each.channel != UNCHANGED for each in parameters) == 0.3
