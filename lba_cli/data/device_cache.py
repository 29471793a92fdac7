"""A cache of all training images on the training device, which augments a whole batch at a time."""

from collections.abc import Generator, Sequence
from functools import partial
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lba_cli.data.augmentation import ERASED_COLOURS, GRAY_WEIGHTS, UNCHANGED, Augmentation, AugmentationParameters
from lba_cli.data.loaders import TrainingBatch, images_in_order, load_items
from lba_cli.data.sampler import IdentitySampler
from lba_cli.data.store import ImageSource
from lba_cli.randomness import Stream, numpy_generator
from lba_cli.reporting import Listener

# Training with the recipe's batches, 64 images of 288 × 144, needs less than this many bytes of the device's memory.
TRAINING_BYTES = 12 * 2**30
RECIPE_PIXELS = 64 * 288 * 144
IMAGES_PER_READ = 64  # a batch of the recipe; more would need more shared memory than training does


def fits(source: ImageSource, device: torch.device, images_per_step: int) -> bool:
    """Return whether ``device`` is a GPU with enough memory for all training images of ``source`` and the training itself."""
    if device.type != "cuda":
        return False
    count = sum(sample.split == "train" for sample in source.samples)
    pixels = source.height * source.width
    free, _ = torch.cuda.mem_get_info(device)
    # An earlier training of this process may have left freed memory with PyTorch, which the new one can use.
    free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return 3 * count * pixels + TRAINING_BYTES * max(1, images_per_step * pixels / RECIPE_PIXELS) <= free


class DeviceCache:
    """The training images of a data set, as bytes on a device.

    Args:
        source: the data set; each training image is read once.
        device: the device that keeps the images.
        augmentation: how the images are augmented.
        workers: processes that read images; see :func:`~lba_cli.data.loaders.load_items`.
        listener: receives the progress.
    """

    def __init__(
        self,
        source: ImageSource,
        device: torch.device,
        augmentation: Augmentation,
        *,
        workers: int | None,
        listener: Listener,
    ) -> None:
        indices = [index for index, sample in enumerate(source.samples) if sample.split == "train"]
        self._row = np.full(len(source.samples), -1)
        self._row[indices] = np.arange(len(indices))
        self._augmentation = augmentation
        shape = (len(indices), source.height, source.width, 3)
        self._pixels = torch.empty(shape, dtype=torch.uint8, device=device)
        self._erased_colours = torch.from_numpy(ERASED_COLOURS).to(device)
        self._gray_weights = torch.tensor(GRAY_WEIGHTS, dtype=torch.int32, device=device)
        on_gpu, done = device.type == "cuda", 0
        with listener.task(f"loading onto {device}", len(indices), "images") as progress:
            for images in images_in_order(source, indices, IMAGES_PER_READ, workers=workers, pin=on_gpu):
                self._pixels[done : done + len(images)].copy_(images, non_blocking=on_gpu)
                done += len(images)
                progress.advance(len(images))

    def batches(
        self, sampler: IdentitySampler, seed: int, positions: Sequence[tuple[int, int]]
    ) -> Generator[TrainingBatch]:
        """Yield the same batches as :func:`~lba_cli.data.loaders.training_batches`, but on the device.

        On a GPU, one worker process samples indices and parameters ahead of the training.
        """
        _, height, width, _ = self._pixels.shape
        plans = partial(_batch_plan, sampler, self._augmentation, seed, self._row, (height, width))
        on_gpu = self._pixels.is_cuda
        for plan in load_items(plans, positions, int(on_gpu), on_gpu):
            rows, parameters, labels = (part.to(self._pixels.device, non_blocking=on_gpu) for part in plan)
            images = self.augmented(rows, parameters)
            yield TrainingBatch(images[: -len(labels)], images[-len(labels) :], labels)

    def augmented(self, rows: Tensor, parameters: Tensor) -> Tensor:
        """Augment the cached images in ``rows`` (n,) with ``parameters`` (n, 8), both int64 and on the device.

        The result is (n, H, W, 3) uint8, the pixels that :class:`~lba_cli.data.augmentation.Augmentation` makes with the
        same parameters, see :func:`parameters_tensor`.
        """
        _, height, width, _ = self._pixels.shape
        pad = self._augmentation.pad
        # Each is (n, 1).
        top, left, flipped, hole_top, hole_left, hole_bottom, hole_right, channel = parameters[:, :, None].unbind(1)
        y, x = (torch.arange(side, device=rows.device) for side in (height, width))
        erased = _between(y, hole_top, hole_bottom)[:, :, None] & _between(x, hole_left, hole_right)[:, None, :]
        from_y = y + top - pad
        from_x = torch.where(flipped > 0, width - 1 - x, x) + left - pad
        inside = _between(from_y, 0, height)[:, :, None] & _between(from_x, 0, width)[:, None, :]
        from_y, from_x = from_y.clamp(0, height - 1), from_x.clamp(0, width - 1)
        images = self._pixels[rows[:, None, None], from_y[:, :, None], from_x[:, None, :]]
        images.masked_fill_(~inside[..., None], 0)
        if self._augmentation.channel_exchange:
            images = self._exchanged(images, channel)
        return torch.where(erased[..., None], self._erased_colours[channel][:, None], images)

    def _exchanged(self, images: Tensor, channel: Tensor) -> Tensor:
        """Make each of the (n, H, W, 3) images three copies of what ``channel``, (n, 1), says."""
        total = sum(GRAY_WEIGHTS)
        gray = ((images * self._gray_weights).sum(dim=3, keepdim=True) + total // 2) // total
        chosen = torch.where(channel == UNCHANGED, torch.arange(3, device=channel.device), channel)  # (n, 3)
        sources = torch.cat([images, gray.to(images.dtype)], dim=3)  # gray is channel 3
        return sources.gather(3, chosen[:, None, None, :].expand(*images.shape))


def _batch_plan(
    sampler: IdentitySampler,
    augmentation: Augmentation,
    seed: int,
    row: NDArray[np.int64],
    size: tuple[int, int],
    position: tuple[int, int],
) -> tuple[Tensor, Tensor, Tensor]:
    """Return a batch's rows of the cache (N,), the views of visible images first, their parameters (N, 8), and labels (B·P,)."""
    plan = sampler.plan(*position)
    random = numpy_generator(seed, Stream.AUGMENTATION, *sampler.address(*position))
    indices = np.concatenate([plan.visible] * augmentation.visible_views + [plan.infrared])
    parameters = chain(*augmentation.sample_step(len(plan.labels), *size, random))
    return torch.from_numpy(row[indices]), parameters_tensor(list(parameters)), torch.from_numpy(plan.labels)


def parameters_tensor(parameters: Sequence[AugmentationParameters]) -> Tensor:
    """Return the parameters of n images as an (n, 8) int64 tensor, one column per field."""
    return torch.tensor(parameters, dtype=torch.int64).view(len(parameters), len(AugmentationParameters._fields))


def _between(places: Tensor, first: Tensor | int, end: Tensor | int) -> Tensor:
    return (places >= first) & (places < end)
