"""Training images that live on the device that trains: read once, and there cropped, flipped and erased a batch at a time."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from lba_cli.data.augmentation import ERASED_COLOUR, Augmentation, Changes
from lba_cli.data.loaders import Maker, TrainingBatch, images_in_order, load
from lba_cli.data.sampler import IdentitySampler
from lba_cli.data.store import ImageSource
from lba_cli.randomness import Stream, numpy_generator
from lba_cli.reporting import Listener

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEFT_FREE = 12 * 2**30  # bytes of the device's memory, for training by the recipe: 64 images of 288 × 144 a step
RECIPES_PIXELS = 64 * 288 * 144
READ_AT_ONCE = 64  # like a batch of the recipe: more would take more shared memory than training does


def fits(source: ImageSource, device: torch.device, images_a_step: int) -> bool:
    """Whether the training images of ``source`` can live on ``device``, a GPU, beside training with so many a step."""
    if device.type != "cuda":
        return False
    count = sum(sample.split == "train" for sample in source.samples)
    pixels = source.height * source.width
    free, _ = torch.cuda.mem_get_info(device)
    return 3 * count * pixels + LEFT_FREE * max(1, images_a_step * pixels / RECIPES_PIXELS) <= free


class DeviceCache:
    """The training images of a data set as bytes on a device.

    Args:
        source: whose images; each is read once.
        device: where they are kept.
        pad: black pixels around an image before the crop.
        workers: processes that read.
        listener: told of the progress.
    """

    def __init__(
        self, source: ImageSource, device: torch.device, pad: int, *, workers: int | None, listener: Listener
    ) -> None:
        indices = [index for index, sample in enumerate(source.samples) if sample.split == "train"]
        self._row = np.full(len(source.samples), -1)
        self._row[indices] = np.arange(len(indices))
        self._pad = pad
        shape = (len(indices), source.height, source.width, 3)
        self._pixels = torch.empty(shape, dtype=torch.uint8, device=device)
        self._colour = torch.tensor(ERASED_COLOUR, dtype=torch.uint8, device=device)
        done = 0
        with listener.task(f"loading onto {device}", len(indices), "images") as progress:
            for images in images_in_order(source, indices, READ_AT_ONCE, workers=workers, pin=device.type == "cuda"):
                self._pixels[done : done + len(images)].copy_(images, non_blocking=True)
                done += len(images)
                progress.advance(len(images))

    def batches(
        self,
        batches: IdentitySampler,
        augmentation: Augmentation,
        seed: int,
        positions: Sequence[tuple[int, int]],
    ) -> Generator[TrainingBatch]:
        """Yield, on the device, what :func:`~lba_cli.data.loaders.training_batches` yields; drawn ahead by one process."""
        maker = _Draws(batches, augmentation, seed, self._row, self._pixels.shape[1], self._pixels.shape[2])
        on_gpu = self._pixels.is_cuda
        for drawn in load(maker, positions, int(on_gpu), on_gpu):
            rows, changes, labels = (part.to(self._pixels.device, non_blocking=True) for part in drawn)
            visible, infrared = self.changed(rows, changes).chunk(2)
            yield TrainingBatch(visible, infrared, labels)

    def changed(self, rows: Tensor, changes: Tensor) -> Tensor:
        """The images at ``rows`` (n,), changed by ``changes``, (n, 7) int64 of :class:`Changes`, both on the device.

        Returns:
            (n, H, W, 3) uint8: the pixels that :class:`~lba_cli.data.augmentation.Augmentation` gives for the same draws.
        """
        _, height, width, _ = self._pixels.shape
        drawn = Changes(*changes.unbind(1))  # type: ignore[arg-type]
        y = torch.arange(height, device=rows.device).expand(len(rows), height)
        x = torch.arange(width, device=rows.device).expand(len(rows), width)
        erased = (
            _between(y, drawn.hole_top, drawn.hole_bottom)[:, :, None]
            & (_between(x, drawn.hole_left, drawn.hole_right)[:, None, :])
        )
        mirrored = torch.where(_column(drawn.flipped) > 0, width - 1 - x, x)
        from_y, from_x = y + _column(drawn.top) - self._pad, mirrored + _column(drawn.left) - self._pad
        inside = _between(from_y, 0, height)[:, :, None] & _between(from_x, 0, width)[:, None, :]
        from_y, from_x = from_y.clamp(0, height - 1), from_x.clamp(0, width - 1)
        images = self._pixels[rows[:, None, None], from_y[:, :, None], from_x[:, None, :]]
        images.masked_fill_(~inside[..., None], 0)
        return torch.where(erased[..., None], self._colour, images)


class _Drawn(NamedTuple):
    """What a batch is made of: (2·B·P,) places of its images, visible ones first, (2·B·P, 7) changes, (B·P,) labels."""

    rows: Tensor
    changes: Tensor
    labels: Tensor


class _Draws(Maker[tuple[int, int], _Drawn]):
    """Draws the batch of an (epoch, step)."""

    def __init__(
        self,
        batches: IdentitySampler,
        augmentation: Augmentation,
        seed: int,
        row: NDArray[np.int64],
        height: int,
        width: int,
    ) -> None:
        self._batches, self._augmentation, self._seed = batches, augmentation, seed
        self._row, self._size = row, (height, width)

    def make(self, position: tuple[int, int]) -> _Drawn:
        plan = self._batches.plan(*position)
        random = numpy_generator(self._seed, Stream.AUGMENTATION, *self._batches.address(*position))
        indices = np.concatenate([plan.visible, plan.infrared])
        changes = self._augmentation.draw(len(indices), *self._size, random)
        return _Drawn(torch.from_numpy(self._row[indices]), as_tensor(changes), torch.from_numpy(plan.labels))


def as_tensor(changes: Sequence[Changes]) -> Tensor:
    """(n, 7) int64."""
    return torch.tensor(changes, dtype=torch.int64).view(len(changes), len(Changes._fields))


def _column(values: Tensor | int) -> Tensor:
    return values[:, None]  # type: ignore[index]


def _between(places: Tensor, first: Tensor | int, end: Tensor | int) -> Tensor:
    """first ≤ places < end, of (n, places) and (n,) or a number."""
    low, high = (bound if isinstance(bound, int) else bound[:, None] for bound in (first, end))
    return (places >= low) & (places < high)
