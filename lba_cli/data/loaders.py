"""Load images as tensors, in worker processes: training batches, and images in a given order."""

import os
import signal
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import cache, partial
from itertools import chain
from multiprocessing.queues import Queue
from typing import Generic, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
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

DEFAULT_WORKERS = 4
# Parts of the messages of PyTorch's RuntimeErrors that mean that a worker process died or a resource ran out.
OUT_OF_RESOURCES = (
    "DataLoader worker",
    "shared memory",
    "No space left",
    "Too many open files",
    "ancdata",
    "Cannot allocate",
)
Key = TypeVar("Key")
Item = TypeVar("Item")


class TrainingBatch(NamedTuple):
    """The images of one step, not normalised yet.

    Attributes:
        visible: (V·B·P, H, W, 3) uint8, the B·P images in V views, one view of all of them after the other.
        infrared: (B·P, H, W, 3) uint8, of the same identities in the same order.
        labels: (B·P,) int64 class labels, shared by both modalities and all views.
    """

    visible: Tensor
    infrared: Tensor
    labels: Tensor

    def parts(self, count: int) -> Iterator["TrainingBatch"]:
        """Split the batch by identities into ``count`` parts; each has all views of its own images."""
        views = self.visible.reshape(-1, len(self.labels), *self.visible.shape[1:]).chunk(count, dim=1)
        others = (tensor.chunk(count) for tensor in (self.infrared, self.labels))
        for visible, infrared, labels in zip(views, *others, strict=True):
            yield TrainingBatch(visible.flatten(0, 1), infrared, labels)


class StepPositions(Sequence[tuple[int, int]]):
    """The (epoch, step) pairs of a range of steps, computed on access instead of kept in a list.

    An epoch has ``steps`` steps; ``numbers`` counts them from the first step of epoch 0.
    """

    def __init__(self, steps: int, numbers: range) -> None:
        self._steps, self._numbers = steps, numbers

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, index: int) -> tuple[int, int]:  # type: ignore[override]  # no slices
        return divmod(self._numbers[index], self._steps)


class _Items(Dataset["Item | LbaError"], Generic[Key, Item]):
    """A data set whose items are ``load(key)``, or the :class:`LbaError` that this raises.

    If a worker process raised the error, PyTorch would wrap it in a new one with a traceback as its message.
    """

    def __init__(self, load: Callable[[Key], Item]) -> None:
        self._load = load

    def __getitem__(self, key: Key) -> Item | LbaError:
        try:
            return self._load(key)
        except LbaError as problem:
            return problem


def training_batches(
    source: ImageSource,
    sampler: IdentitySampler,
    augmentation: Augmentation,
    seed: int,
    positions: Sequence[tuple[int, int]],
    *,
    workers: int | None,
    pin: bool,
) -> Generator[TrainingBatch]:
    """Yield the batch of each (epoch, step) in ``positions``. The batches don't depend on the number of workers.

    ``positions`` may cover several epochs: workers then prepare the next epoch's first batches while one epoch ends.

    Args:
        source, sampler, augmentation: the images, which of them a step takes, and how they are augmented.
        seed: the run's seed.
        positions: the (epoch, step) pairs.
        workers, pin: see :func:`load_items`.
    """
    yield from load_items(partial(_training_batch, source, sampler, augmentation, seed), positions, workers, pin)


def _training_batch(
    source: ImageSource, sampler: IdentitySampler, augmentation: Augmentation, seed: int, position: tuple[int, int]
) -> TrainingBatch:
    plan = sampler.plan(*position)
    random = numpy_generator(seed, Stream.AUGMENTATION, *sampler.address(*position))
    *of_visible, of_infrared = augmentation.sample_step(len(plan.labels), source.height, source.width, random)
    visible = augmentation.apply(
        np.concatenate([source.read(plan.visible.tolist())] * len(of_visible)), list(chain(*of_visible))
    )
    infrared = augmentation.apply(source.read(plan.infrared.tolist()), of_infrared)
    return TrainingBatch(*map(torch.from_numpy, (visible, infrared, plan.labels)))


def images_in_order(
    source: ImageSource, indices: Sequence[int], batch_size: int, *, workers: int | None, pin: bool
) -> Iterator[Tensor]:
    """Yield the images at ``indices`` in that order, as (n, H, W, 3) uint8 batches of at most ``batch_size``.

    ``workers`` and ``pin`` are those of :func:`load_items`.
    """
    batches = [list(indices[start : start + batch_size]) for start in range(0, len(indices), batch_size)]
    yield from load_items(partial(_images, source), batches, workers, pin)


def _images(source: ImageSource, indices: Sequence[int]) -> Tensor:
    return torch.from_numpy(source.read(indices))


def normalize(images: Tensor) -> Tensor:
    """Normalise (N, H, W, 3) uint8 images by ImageNet's mean and standard deviation.

    The result is (N, 3, H, W) float32 in the channels-last memory format, on the same device.
    """
    mean, deviation = _statistics(images.device)
    return images.float().sub_(mean).div_(deviation).permute(0, 3, 1, 2)


@cache
@torch.inference_mode(False)
def _statistics(device: torch.device) -> tuple[Tensor, Tensor]:
    """Return ImageNet's mean and standard deviation, times 255, from a cache: a copy to a GPU would wait for all its work."""
    mean, deviation = (torch.tensor(values, device=device).mul(255) for values in (MEAN, STANDARD_DEVIATION))
    return mean, deviation


def to_images(array: NDArray[np.uint8]) -> Tensor:
    """Normalise an (N, H, W, 3) uint8 array; returns an (N, 3, H, W) float32 tensor on the CPU."""
    return normalize(torch.from_numpy(array))


def load_items(load: Callable[[Key], Item], keys: Sequence[Key], workers: int | None, pin: bool) -> Iterator[Item]:
    """Yield ``load(key)`` for each of ``keys``, in order.

    Args:
        load: a function that can be pickled.
        keys: the arguments that it is called with.
        workers: number of processes that load ahead. With 0, this process loads; None uses up to 4 and leaves a core free.
        pin: whether tensors are put into pinned memory, from which copies to a GPU are fast.

    Raises:
        LbaError: an item could not be loaded, or a worker process died.
    """
    if workers is None:
        workers = max(0, min(DEFAULT_WORKERS, cores() // processes.current().local_size - 1))
    workers = min(workers, len(keys))
    loader: DataLoader[Item | LbaError] = DataLoader(
        _Items(load),
        batch_size=None,
        sampler=keys,
        num_workers=workers,
        pin_memory=pin,
        prefetch_factor=4 if workers else None,
        worker_init_fn=_prepare_worker,
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


def _prepare_worker(_: int) -> None:
    """Ignore interrupts, because the parent ends its workers, and exit if an item can't be passed to the parent."""
    # By default, a queue that runs out of shared memory or open files drops the item, and the parent waits for it forever,
    # whereas it notices when a worker ends.
    Queue._on_queue_feeder_error = staticmethod(lambda *_: os._exit(1))  # type: ignore[attr-defined]
    sys.excepthook = lambda *_: None  # when the parent is gone, nobody reads a worker's traceback
    # torchrun and timeout send signals to whole process groups, and the parent must outlive its workers to save its state.
    if hasattr(os, "setpgid"):  # Windows has no process groups
        os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
