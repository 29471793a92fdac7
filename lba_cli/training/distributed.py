"""Training in several processes: gradients are averaged, and batch statistics can be synchronised."""

import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from lba_cli import processes
from lba_cli.alignment import Pairs
from lba_cli.config import TrainSection
from lba_cli.data.sampler import IdentitySampler
from lba_cli.errors import ConfigError
from lba_cli.methods import Objective, ObjectiveValues
from lba_cli.model import TwoStreamNetwork
from lba_cli.reporting import Listener

# (visible, infrared, labels, draw_pairs) → values, see Objective.evaluate
ForwardFunction = Callable[[Tensor, Tensor, Tensor, Callable[[], tuple[Pairs, Pairs]]], ObjectiveValues]
# DDP's option that says whether buffers are broadcast; newer versions of PyTorch have renamed it.
_NAMES = {"forward_sync_buffers", "broadcast_buffers"} & set(inspect.signature(DistributedDataParallel).parameters)
_KEEP_BUFFERS: dict[str, Any] = {max(_NAMES): False}


class _ObjectiveModule(nn.Module):
    """The objective of a network as a module, because DDP must see the whole forward pass."""

    def __init__(self, network: TwoStreamNetwork, objective: Objective) -> None:
        super().__init__()
        self.network, self.objective = network, objective

    def forward(self, *batch: Any) -> ObjectiveValues:
        return self.objective.evaluate(self.network, *batch)


def averaged_objective(network: TwoStreamNetwork, objective: Objective) -> ForwardFunction:
    """Return a function that evaluates ``objective`` on a batch. Its gradients are averaged over all processes.

    The mean of the gradients is the gradient of the mean loss. Every process computes its loss on a batch of its own, so that
    hard triplets and pairs never span two processes. Unless :func:`synchronize_statistics` is used, every process also has
    running statistics of its own, and the writer's are saved.
    """
    if not processes.current().by_torchrun:
        return lambda *batch: objective.evaluate(network, *batch)
    # With find_unused_parameters, DDP doesn't reorder its buckets after the first step. Their order decides how sums are
    # rounded, so that a resumed run, which starts with the first order, would otherwise differ from an uninterrupted one.
    return DistributedDataParallel(
        _ObjectiveModule(network, objective),
        find_unused_parameters=True,
        gradient_as_bucket_view=True,
        **_KEEP_BUFFERS,
    )


def gradients_kept_here(evaluate: ForwardFunction) -> AbstractContextManager[None]:
    """Add up gradients in each process within the block. The next gradients after the block are averaged with them."""
    if isinstance(evaluate, DistributedDataParallel):
        kept: AbstractContextManager[None] = evaluate.no_sync()
        return kept
    return nullcontext()


def synchronize_statistics(network: TwoStreamNetwork, device: torch.device, listener: Listener) -> TwoStreamNetwork:
    """Make batch normalisation compute its statistics over the images of all processes, with PyTorch's SyncBatchNorm.

    Raises:
        ConfigError: the device isn't a CUDA device.
    """
    if processes.current().size == 1:
        listener.warn("train.sync_batchnorm has no effect on a run in one process")
        return network
    if device.type != "cuda":
        raise ConfigError(
            f"train.sync_batchnorm=true: PyTorch's SyncBatchNorm needs CUDA devices, but this run computes on {device.type}; "
            "leave the key out"
        )
    result: TwoStreamNetwork = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    return result


def report_processes(sampler: IdentitySampler, recipe: TrainSection, images_per_step: int, listener: Listener) -> None:
    """Report the size of the batches of several processes, and that the learning rate isn't scaled."""
    size = processes.current().size
    if size == 1:
        return
    listener.say(
        f"{size} processes: {images_per_step} images a step ({size} × {images_per_step // size}), {sampler.steps} steps an "
        f"epoch; the learning rate isn't scaled, train.learning_rate={recipe.learning_rate:g}"
    )
    if not sampler.disjoint:
        listener.warn(
            f"there are fewer than {size} × {recipe.identities} training identities, so processes may draw the same ones"
        )
