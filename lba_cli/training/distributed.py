"""Training steps alone, or as one of several processes whose gradients are averaged."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from lba_cli import processes
from lba_cli.config import TrainSection
from lba_cli.data.sampler import IdentitySampler
from lba_cli.errors import ConfigError
from lba_cli.methods.objective import Objective
from lba_cli.model import TwoStreamNetwork
from lba_cli.reporting import Listener

Forward = Callable[..., dict[str, Tensor]]
# The first is the later name of it.
_BUFFERS = {"forward_sync_buffers", "broadcast_buffers"} & set(inspect.signature(DistributedDataParallel).parameters)
_LEAVE_BUFFERS: dict[str, Any] = {max(_BUFFERS): False}


class _Losses(nn.Module):
    """The objective as one module: what PyTorch's DDP can see the whole forward pass of."""

    def __init__(self, network: TwoStreamNetwork, objective: Objective) -> None:
        super().__init__()
        self.network, self.objective = network, objective

    def forward(self, *batch: Any) -> dict[str, Tensor]:
        return self.objective(self.network, *batch)


def losses_of(network: TwoStreamNetwork, objective: Objective) -> Forward:
    """A function of a batch (as :class:`Objective` takes it) that gives its losses.

    Among several processes, the backward pass of a loss leaves in each the mean of their gradients: that of the mean of their
    losses, each of its own batch (hard triplets and pairs never span two of them). Statistics of normalisation are each
    process's own (or all's, see :func:`synchronized`); the writer's are those that count.
    """
    if not processes.current().by_torchrun:
        return partial(objective, network)
    # Told that parameters may be unused, DDP never orders its buckets anew after the first step. The order decides how sums
    # are rounded, so a resumed run, which would begin with another one, wouldn't end bit for bit as the one never stopped.
    return DistributedDataParallel(
        _Losses(network, objective),
        find_unused_parameters=True,
        gradient_as_bucket_view=True,
        **_LEAVE_BUFFERS,
    )


def synchronized(network: TwoStreamNetwork, device: torch.device, listener: Listener) -> TwoStreamNetwork:
    """The network with statistics of normalisation over the images of all processes, by PyTorch's SyncBatchNorm.

    Raises:
        ConfigError: PyTorch can't do that on this device.
    """
    if processes.current().size == 1:
        listener.warn("train.sync_batchnorm has no effect on a run in one process")
        return network
    if device.type != "cuda":
        raise ConfigError(
            f"train.sync_batchnorm=true: PyTorch's SyncBatchNorm needs CUDA devices, this run computes on {device.type}; leave "
            "it out"
        )
    result: TwoStreamNetwork = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    return result


def shared_statistics(network: TwoStreamNetwork) -> None:
    """Give every process the writer's running statistics, so that all have the network that is kept."""
    processes.broadcast_from_writer(network.buffers())


def say_who(batches: IdentitySampler, recipe: TrainSection, images_a_step: int, listener: Listener) -> None:
    """Tell what several processes mean for the batches and the learning rate."""
    size = processes.current().size
    if size == 1:
        return
    listener.say(
        f"{size} processes: {images_a_step} images a step ({size} × {images_a_step // size}), {batches.steps} steps an epoch; "
        f"the learning rate isn't scaled, train.learning_rate={recipe.learning_rate:g}"
    )
    if not batches.disjoint:
        listener.warn(f"fewer than {size} × {recipe.identities} identities: a step may show one in several processes")
