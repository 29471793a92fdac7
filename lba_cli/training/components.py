"""The components of a run, built from its configuration."""

from pathlib import Path

import torch

from lba_cli import processes
from lba_cli.config import Config
from lba_cli.data.sampler import IdentitySampler
from lba_cli.data.store import ImageSource
from lba_cli.evaluation.scoring import require_scorable
from lba_cli.methods import Objective
from lba_cli.model import TwoStreamNetwork
from lba_cli.model.initial_weights import build_network
from lba_cli.reporting import Listener
from lba_cli.training.distributed import synchronize_statistics
from lba_cli.training.run_folder import checkpoint_in


def build_sampler(config: Config, source: ImageSource, listener: Listener) -> IdentitySampler:
    """Build the sampler of this process's batches; raises a DataError if there are too few training identities."""
    recipe, world = config.train, processes.current()
    sampler = IdentitySampler(
        source.samples,
        recipe.identities,
        recipe.instances,
        recipe.seed,
        steps=recipe.steps_per_epoch,
        skip_incomplete=config.data.skip_incomplete,
        rank=world.rank,
        size=world.size,
    )
    if sampler.incomplete:
        listener.warn(f"{len(sampler.incomplete)} training identities lack a modality and are left out")
    return sampler


def build_training_network(
    config: Config, classes: int, pretrained: str, device: torch.device, listener: Listener
) -> TwoStreamNetwork:
    """Build the network on ``device``, in channels-last memory.

    ``pretrained`` is as for :func:`build_network`, or a run's folder, which stands for its last checkpoint.

    Raises:
        ConfigError: the pretrained weights can't be downloaded, or batch statistics can't be synchronised here.
        CheckpointError: the file of pretrained weights is of another network, or the folder holds no run.
    """
    size = config.data.height, config.data.width
    if pretrained not in ("imagenet", "none"):
        pretrained = str(checkpoint_in(Path(pretrained)))
    network = build_network(config.model.backbone, classes, pretrained, config.train.seed, size)
    network.checkpoint_activations = config.train.checkpoint_activations
    if config.train.sync_batchnorm:
        network = synchronize_statistics(network, device, listener)
    return network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def build_objective(config: Config) -> Objective:
    """Build the objective of the configured method and loss weights."""
    return Objective(
        config.train.method,
        config.alignment.weighting,
        weights=config.loss.weights(),
        temperature=config.alignment.temperature,
        margin=config.train.triplet_margin,
        dense_margin=config.alignment.margin,
    )


def can_evaluate(source: ImageSource, listener: Listener) -> bool:
    """Whether there are test images; warns if not. It is a DataError if there are some, but no query has a match."""
    if any(sample.split == "test" for sample in source.samples):
        require_scorable(source)
        return True
    listener.warn(f"{source.name}: there are no test images, so nothing is evaluated, and best.pt is the last state")
    return False
