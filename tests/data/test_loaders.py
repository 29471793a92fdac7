"""Loading images as tensors: the same whatever the number of worker processes."""

import numpy as np
import pytest
import torch

from lba_cli.data.augmentation import Augmentation
from lba_cli.data.loaders import StepPositions, images_in_order, normalize, training_batches
from lba_cli.data.sampler import IdentitySampler
from lba_cli.data.store import FolderImages
from lba_cli.datasets.sysu import read_sysu
from lba_cli.errors import DataError


def test_images_are_normalised_by_imagenets_statistics():
    images = np.random.default_rng(0).integers(1, 256, (2, 12, 6, 3), dtype=np.uint8)
    found = normalize(torch.from_numpy(images))
    mean, deviation = (torch.tensor(v).view(3, 1, 1) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    wanted = (torch.from_numpy(images).permute(0, 3, 1, 2) / 255 - mean) / deviation
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
    assert found.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_do_not_depend_on_the_number_of_workers(source, workers):
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
    serial = training_batches(source, batches, Augmentation(), 0, positions, workers=0, pin=False)
    for batch, wanted in zip(loaded, serial, strict=True):
        assert torch.equal(batch.visible, wanted.visible)
        assert torch.equal(batch.infrared, wanted.infrared)


def test_images_come_in_the_order_asked_for(source):
    indices = [4, 2, 9, 9, 0]
    loaded = torch.cat(list(images_in_order(source, indices, 2, workers=0, pin=False)))
    np.testing.assert_array_equal(loaded.numpy(), source.read(indices))


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unreadable_image_raises_the_same_error_with_and_without_workers(hollow, workers):
    listing = read_sysu(hollow("sysu"))
    source = FolderImages(listing, 8, 8)
    with pytest.raises(DataError, match="not a readable image"):
        list(images_in_order(source, [0, 1], 2, workers=workers, pin=False))


def test_step_positions_count_over_epochs():
    positions = StepPositions(3, range(2, 8))
    assert list(positions) == [(0, 2), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1)]
