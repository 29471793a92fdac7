"""Where a network's first weights come from: ImageNet through torchvision, a file, or nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor
from torchvision.models import get_model_weights

from lba_cli.errors import CheckpointError, ConfigError
from lba_cli.model.files import load_tensors
from lba_cli.model.network import TwoStreamNetwork


def build_network(backbone: str, num_classes: int, pretrained: str, seed: int) -> TwoStreamNetwork:
    """Build a network whose random weights come from ``seed`` alone and whose stems and trunk start from ``pretrained``.

    Args:
        backbone: a torchvision ResNet's name.
        num_classes: identities to tell apart.
        pretrained: ``imagenet`` (downloaded by torchvision), ``none``, or a file with a torchvision state dict.
        seed: of the initialisation; PyTorch's global generator is left as it was.

    Raises:
        ConfigError: the weights can't be downloaded.
        CheckpointError: the file isn't a state dict of this backbone.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = TwoStreamNetwork(backbone, num_classes)
    if pretrained == "imagenet":
        _start_from(network, _download(backbone), f"torchvision's ImageNet weights of {backbone}")
    elif pretrained != "none":
        _start_from(network, load_tensors(Path(pretrained)), pretrained)
    return network


def _download(backbone: str) -> Mapping[str, Tensor]:
    weights = get_model_weights(backbone)["IMAGENET1K_V1"]
    try:
        state: Mapping[str, Tensor] = weights.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as problem:  # URLError is an OSError; a wrong hash is a RuntimeError
        raise ConfigError(
            f"the ImageNet weights of {backbone} could not be downloaded ({problem}): give a file of them with "
            f"--set model.pretrained=FILE (its address: {weights.url}), or start from random weights with "
            "--set model.pretrained=none"
        ) from problem
    return state


def _start_from(network: TwoStreamNetwork, state: Mapping[str, Tensor], source: str) -> None:
    """Copy an ordinary ResNet's weights into both stems and the trunk."""
    targets = {
        **{f"stems.{modality}.{name}": name for modality in network.stems for name in network.stems[modality].state_dict()},
        **{f"trunk.{name}": name for name in network.trunk.state_dict()},
    }
    own = network.state_dict()
    for target, name in targets.items():
        if name not in state or state[name].shape != own[target].shape:
            found = tuple(state[name].shape) if name in state else "nothing"
            raise CheckpointError(
                f"{source}: not weights of a {network.backbone}: '{name}' should have shape "
                f"{tuple(own[target].shape)}, the file has {found}"
            )
    network.load_state_dict({target: state[name] for target, name in targets.items()}, strict=False)
