"""Images changed all at once where they lie have the pixels of images changed one after the other."""

import numpy as np
import pytest
import torch
from fake_dataset import MadeImages, tree

from lba_cli.data.augmentation import Augmentation
from lba_cli.data.device_cache import DeviceCache, as_tensor, fits
from lba_cli.data.loaders import training_batches
from lba_cli.data.sampler import IdentitySampler
from lba_cli.reporting import Silent


class Noise(MadeImages):
    """Every image is noise of its own."""

    def read(self, indices):
        shape = (self.height, self.width, 3)
        return np.stack([np.random.default_rng(i).integers(1, 256, shape, np.uint8) for i in indices])


@pytest.fixture(scope="module")
def noise():
    return Noise([*tree("sysu", range(3)), *tree("sysu", range(3, 6), split="train")], "sysu")


@pytest.mark.parametrize(
    "law", [Augmentation(), Augmentation(5, 0.5, 0.7), Augmentation(3, 1.0), Augmentation(0, 0, 1)]
)
def test_the_pixels_are_those_of_arrays(noise, law):
    chosen = [i for i, sample in enumerate(noise.samples) if sample.split == "train"][::-1] * 4
    resident = DeviceCache(noise, torch.device("cpu"), law.pad, workers=0, listener=Silent())
    changes = law.draw(len(chosen), noise.height, noise.width, np.random.default_rng(7))
    found = resident.changed(torch.from_numpy(resident._row[chosen]), as_tensor(changes))
    wanted = law(noise.read(chosen), np.random.default_rng(7))
    np.testing.assert_array_equal(found.numpy(), wanted)


def test_only_a_gpu_is_filled_without_being_asked(noise):
    assert not fits(noise, torch.device("cpu"), 64)


def test_a_larger_batch_needs_more_room_beside_the_images(monkeypatch):
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda device: (20 * 2**30, 140 * 2**30))
    source = MadeImages(tree("sysu", split="train"), "sysu")
    source.height, source.width = 288, 144
    assert fits(source, torch.device("cuda"), 64)
    assert not fits(source, torch.device("cuda"), 128)
    source.samples *= 1000  # 13 GB of images
    assert not fits(source, torch.device("cuda"), 64)


def test_images_are_read_a_batch_at_a_time(noise):
    sizes = []

    class Counting(Noise):
        def read(self, indices):
            sizes.append(len(indices))
            return super().read(indices)

    source = Counting(tree("sysu", range(3), images=12, split="train"), "sysu")
    DeviceCache(source, torch.device("cpu"), 0, workers=0, listener=Silent())
    assert sum(sizes) == len(source.samples) > 3 * 64
    assert max(sizes) == 64


@pytest.mark.parametrize("law", [Augmentation(), Augmentation(4, 0.5, 0.5)])
def test_batches_are_those_that_workers_load(noise, law):
    plans = IdentitySampler(noise.samples, 3, 2, seed=5)
    positions = [(0, 0), (0, 1), (2, 3)]
    resident = DeviceCache(noise, torch.device("cpu"), law.pad, workers=0, listener=Silent())
    loaded = training_batches(noise, plans, law, 5, positions, workers=0, pin=False)
    for found, wanted in zip(resident.batches(plans, law, 5, positions), loaded, strict=True):
        for ours, theirs in zip(found, wanted, strict=True):
            assert torch.equal(ours, theirs)
