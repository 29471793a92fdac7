"""The device cache augments whole batches, with the same pixels as augmenting image by image."""

import numpy as np
import pytest
import torch
from fake_dataset import MadeImages, tree

from lba_cli.data.augmentation import Augmentation
from lba_cli.data.device_cache import DeviceCache, fits, parameters_tensor
from lba_cli.data.loaders import training_batches
from lba_cli.data.sampler import IdentitySampler
from lba_cli.reporting import Silent


class Noise(MadeImages):
    """Each image is noise from its own seed."""

    def read(self, indices):
        shape = (self.height, self.width, 3)
        return np.stack([np.random.default_rng(i).integers(1, 256, shape, np.uint8) for i in indices])


@pytest.fixture(scope="module")
def noise():
    return Noise([*tree("sysu", range(3)), *tree("sysu", range(3, 6), split="train")], "sysu")


@pytest.mark.parametrize(
    ("augmentation", "exchange"),
    [
        (Augmentation(), None),
        (Augmentation(5, 0.5, 0.7), None),
        (Augmentation(3, 1.0), None),
        (Augmentation(0, 0, 1), None),
        (Augmentation(5, 0.5, 0.7, 1.0), "visible"),
        (Augmentation(2, 0.5, 1.0, 0.8), "infrared"),
    ],
)
def test_a_batch_has_the_pixels_of_images_augmented_one_by_one(noise, augmentation, exchange):
    chosen = [i for i, sample in enumerate(noise.samples) if sample.split == "train"][::-1] * 4
    cache = DeviceCache(noise, torch.device("cpu"), augmentation, workers=0, listener=Silent())
    size = len(chosen), noise.height, noise.width
    parameters = augmentation.sample(*size, np.random.default_rng(7), exchange=exchange)
    found = cache.augmented(torch.from_numpy(cache._row[chosen]), parameters_tensor(parameters))
    wanted = augmentation.apply(noise.read(chosen), parameters)
    np.testing.assert_array_equal(found.numpy(), wanted)


def test_images_are_not_cached_on_a_cpu_unless_configured(noise):
    assert not fits(noise, torch.device("cpu"), 64)


def test_larger_batches_leave_less_room_for_the_cache(monkeypatch):
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda device: (20 * 2**30, 140 * 2**30))
    source = MadeImages(tree("sysu", split="train"), "sysu")
    source.height, source.width = 288, 144
    assert fits(source, torch.device("cuda"), 64)
    assert not fits(source, torch.device("cuda"), 128)
    source.samples *= 1000  # 13 GB of images
    assert not fits(source, torch.device("cuda"), 64)


def test_images_are_read_in_small_batches(noise):
    sizes = []

    class Counting(Noise):
        def read(self, indices):
            sizes.append(len(indices))
            return super().read(indices)

    source = Counting(tree("sysu", range(3), images=12, split="train"), "sysu")
    DeviceCache(source, torch.device("cpu"), Augmentation(), workers=0, listener=Silent())
    assert sum(sizes) == len(source.samples) > 3 * 64
    assert max(sizes) == 64


@pytest.mark.parametrize(
    "augmentation",
    [
        Augmentation(),
        Augmentation(4, 0.5, 0.5),
        Augmentation(4, 0.5, 0.5, 0.5),
        Augmentation(4, 0.5, 0.5, 1.0, visible_views=2),
    ],
)
def test_batches_equal_those_of_the_loader(noise, augmentation):
    sampler = IdentitySampler(noise.samples, 3, 2, seed=5)
    positions = [(0, 0), (0, 1), (2, 3)]
    cache = DeviceCache(noise, torch.device("cpu"), augmentation, workers=0, listener=Silent())
    loaded = training_batches(noise, sampler, augmentation, 5, positions, workers=0, pin=False)
    for found, wanted in zip(cache.batches(sampler, 5, positions), loaded, strict=True):
        for cached, read in zip(found, wanted, strict=True):
            assert torch.equal(cached, read)
