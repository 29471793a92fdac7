"""From a source of images to tensors on a device: training batches, and images in order for embedding."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Generator, Iterator, Sequence
from functools import cache
from multiprocessing.queues import Queue
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar, overload

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from lba_cli import processes
from lba_cli.data.augmentation import Augmentation
from lba_cli.data.image_files import MEAN, STANDARD_DEVIATION
from lba_cli.data.parallel import cores
from lba_cli.data.sampler import IdentitySampler
from lba_cli.data.store import ImageSource
from lba_cli.errors import LOST_WORKER, LbaError
from lba_cli.randomness import Stream, numpy_generator
from lba_cli.signals import signals_deferred

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_WORKERS = 4
# What PyTorch's loader says, in RuntimeErrors, when a worker died or a resource was used up.
OUT_OF_RESOURCES = (
    "DataLoader worker",
    "shared memory",
    "No space left",
    "Too many open files",
    "ancdata",
    "Cannot allocate",
)
Position = TypeVar("Position")
Item = TypeVar("Item")


class TrainingBatch(NamedTuple):
    """One step's images, still as bytes: (B·P, H, W, 3) uint8 of each modality, and (B·P,) int64 labels."""

    visible: Tensor
    infrared: Tensor
    labels: Tensor


class StepPositions(Sequence[tuple[int, int]]):
    """The (epoch, step) of each of ``numbers``, counted over epochs of ``steps``, without a list of them all."""

    def __init__(self, steps: int, numbers: range) -> None:
        self._steps, self._numbers = steps, numbers

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> tuple[int, int]: ...

    @overload
    def __getitem__(self, index: slice) -> StepPositions: ...

    def __getitem__(self, index: int | slice) -> tuple[int, int] | StepPositions:
        if isinstance(index, slice):
            return StepPositions(self._steps, self._numbers[index])
        return divmod(self._numbers[index], self._steps)


class Maker(Dataset["Item | LbaError"], Generic[Position, Item]):
    """Makes an item for a position; a user's mistake is returned, because a worker process can't raise it plainly."""

    def __getitem__(self, position: Position) -> Item | LbaError:
        try:
            return self.make(position)
        except LbaError as problem:
            return problem

    def make(self, position: Position) -> Item:
        """The item."""
        raise NotImplementedError


class _TrainingBatches(Maker[tuple[int, int], TrainingBatch]):
    """Makes the batch of an (epoch, step)."""

    def __init__(self, source: ImageSource, batches: IdentitySampler, augmentation: Augmentation, seed: int) -> None:
        self._source, self._batches, self._augmentation, self._seed = source, batches, augmentation, seed

    def make(self, position: tuple[int, int]) -> TrainingBatch:
        plan = self._batches.plan(*position)
        random = numpy_generator(self._seed, Stream.AUGMENTATION, *self._batches.address(*position))
        visible, infrared = (
            torch.from_numpy(self._augmentation(self._source.read(indices.tolist()), random))
            for indices in (plan.visible, plan.infrared)
        )
        return TrainingBatch(visible, infrared, torch.from_numpy(plan.labels))


class _Images(Maker[Sequence[int], Tensor]):
    """Makes the (n, H, W, 3) uint8 images of a list of sample indices."""

    def __init__(self, source: ImageSource) -> None:
        self._source = source

    def make(self, position: Sequence[int]) -> Tensor:
        return torch.from_numpy(self._source.read(position))


def training_batches(
    source: ImageSource,
    batches: IdentitySampler,
    augmentation: Augmentation,
    seed: int,
    positions: Sequence[tuple[int, int]],
    *,
    workers: int | None,
    pin: bool,
) -> Generator[TrainingBatch]:
    """Yield the batch of each (epoch, step) of ``positions``; the same whatever the number of workers.

    One loader serves all the epochs given, so that the first batch of an epoch is ready when the last one ends.
    """
    dataset = _TrainingBatches(source, batches, augmentation, seed)
    yield from load(dataset, positions, workers, pin)


def images_in_order(
    source: ImageSource, indices: Sequence[int], batch_size: int, *, workers: int | None, pin: bool
) -> Iterator[Tensor]:
    """Yield the images of ``indices``, in order, (≤ batch_size, H, W, 3) uint8 at a time."""
    pieces = [list(indices[start : start + batch_size]) for start in range(0, len(indices), batch_size)]
    yield from load(_Images(source), pieces, workers, pin)


def normalize(images: Tensor) -> Tensor:
    """(N, H, W, 3) uint8 → (N, 3, H, W) float32 with ImageNet's mean and standard deviation, in channels-last memory."""
    mean, deviation = _statistics(images.device)
    return images.float().sub_(mean).div_(deviation).permute(0, 3, 1, 2)


@cache
@torch.inference_mode(False)
def _statistics(device: torch.device) -> tuple[Tensor, Tensor]:
    """ImageNet's mean and standard deviation of bytes; made once, because bringing them to a GPU waits for all its work."""
    mean, deviation = (torch.tensor(values, device=device).mul(255) for values in (MEAN, STANDARD_DEVIATION))
    return mean, deviation


def to_images(array: NDArray[np.uint8]) -> Tensor:
    """(N, H, W, 3) uint8 array → normalised (N, 3, H, W) float32 tensor on the CPU."""
    return normalize(torch.from_numpy(array))


def load(maker: Maker[Position, Item], positions: Sequence[Position], workers: int | None, pin: bool) -> Iterator[Item]:
    """Yield the item of each position, made ahead by ``workers`` processes.

    Raises:
        LbaError: what went wrong in making one.
    """
    if workers is None:
        workers = max(0, min(MOST_WORKERS, cores() // processes.current().local_size - 1))
    workers = min(workers, len(positions))
    loader: DataLoader[Item | LbaError] = DataLoader(
        maker,
        batch_size=None,
        sampler=positions,
        num_workers=workers,
        pin_memory=pin,
        prefetch_factor=4 if workers else None,
        worker_init_fn=_leave_interrupts_to_the_parent,
    )
    with signals_deferred(for_children=True):
        items = iter(loader)
    while True:
        try:
            item = next(items)
        except StopIteration:
            return
        except RuntimeError as problem:
            if not any(sign in str(problem) for sign in OUT_OF_RESOURCES):
                raise
            raise LbaError(LOST_WORKER) from problem
        if isinstance(item, LbaError):
            raise item
        yield item


def _leave_interrupts_to_the_parent(_: int) -> None:
    """The parent ends its workers; a worker that notices the parent's end has nobody to tell.

    A worker that can't hand over an item, for want of shared memory or open files, would drop it and let the parent wait
    forever; it ends instead, which the parent notices.
    """
    Queue._on_queue_feeder_error = staticmethod(lambda *_: os._exit(1))  # type: ignore[attr-defined]
    sys.excepthook = lambda *_: None
    if processes.current().by_torchrun:  # torchrun signals whole groups
        os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
