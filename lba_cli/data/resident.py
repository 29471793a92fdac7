"""Training images that live on the device that trains: read once, and there cropped, flipped and erased a batch at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lba_cli.data.augment import ERASED_COLOUR, Changes
from lba_cli.data.loaders import images_in_order
from lba_cli.data.store import ImageSource
from lba_cli.reporting import Listener

LEFT_FREE = 12 * 2**30  # bytes of the device's memory, for the training itself
READ_AT_ONCE = 256


def fits(source: ImageSource, device: torch.device) -> bool:
    """Whether the training images of ``source`` can live on ``device``, a GPU, beside the training."""
    if device.type != "cuda":
        return False
    count = sum(sample.part == "train" for sample in source.samples)
    free, _ = torch.cuda.mem_get_info(device)
    return count * source.height * source.width * 3 + LEFT_FREE <= free


class ResidentImages:
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
        indices = [index for index, sample in enumerate(source.samples) if sample.part == "train"]
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

    def rows(self, indices: Sequence[int]) -> Tensor:
        """(n,) int64 places, on the CPU, of the samples at ``indices``."""
        return torch.from_numpy(self._row[list(indices)])

    def changed(self, rows: Tensor, changes: Tensor) -> Tensor:
        """The images at ``rows`` (n,), changed by ``changes``, (n, 7) int64 of :class:`Changes`, both on the device.

        Returns:
            (n, H, W, 3) uint8: the pixels that :class:`~lba_cli.data.augment.Augmentation` gives for the same draws.
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


def as_tensor(changes: Sequence[Changes]) -> Tensor:
    """(n, 7) int64."""
    return torch.tensor(changes, dtype=torch.int64).view(len(changes), len(Changes._fields))


def _column(values: Tensor | int) -> Tensor:
    return values[:, None]  # type: ignore[index]


def _between(places: Tensor, first: Tensor | int, end: Tensor | int) -> Tensor:
    """first ≤ places < end, of (n, places) and (n,) or a number."""
    low, high = (bound if isinstance(bound, int) else bound[:, None] for bound in (first, end))
    return (places >= low) & (places < high)
