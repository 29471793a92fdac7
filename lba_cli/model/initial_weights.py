"""Initial weights of a network: ImageNet weights from torchvision, a file, or random ones."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor
from torchvision.models import get_model_weights

from lba_cli.errors import ConfigError
from lba_cli.model.checkpoint import from_pickled, from_safetensors, is_checkpoint
from lba_cli.model.foreign_files import converted, read_foreign
from lba_cli.model.network import IMAGE_SIZE, TwoStreamNetwork
from lba_cli.model.tensor_files import load_pickled, load_safetensors, require_tensors


def build_network(
    backbone: str, num_classes: int, pretrained: str, seed: int, image_size: tuple[int, int] = IMAGE_SIZE
) -> TwoStreamNetwork:
    """Build a network with initial weights.

    Args:
        backbone, num_classes, image_size: as for :class:`TwoStreamNetwork`.
        pretrained: the weights of stems and trunk: ``imagenet`` (downloaded by torchvision), ``none`` (random), or a file with a
            torchvision state dict or a checkpoint.
        seed: the seed of random weights. PyTorch's global generator is left as it was.

    Raises:
        ConfigError: the weights can't be downloaded.
        CheckpointError: the file holds no weights of this backbone.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = TwoStreamNetwork(backbone, num_classes, image_size)
    if pretrained == "imagenet":
        state = _from_resnet(network, _download(backbone))
        _load_backbone(network, state, f"torchvision's ImageNet weights of {backbone}")
    elif pretrained != "none":
        _load_backbone(network, _read_file(network, Path(pretrained)), pretrained)
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


def _read_file(network: TwoStreamNetwork, path: Path) -> Mapping[str, Tensor]:
    """Read the weights of a checkpoint or of an ordinary ResNet, and return them by our names."""
    metadata: dict[str, str] = {}
    if path.suffix == ".safetensors":
        content, metadata = load_safetensors(path)
    else:
        content = load_pickled(path)
    if "lba" in metadata:
        return from_safetensors(path, content, metadata).weights
    if is_checkpoint(content):
        return from_pickled(path, content).weights
    layout, state = read_foreign(path, content)
    return converted(_from_resnet(network, state) if layout == "resnet" else state, network.state_dict())


def _from_resnet(network: TwoStreamNetwork, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Convert an ordinary ResNet's state dict to our names; its first layers serve both stems."""
    names = {ours: ours.removeprefix("trunk.") for ours in network.state_dict() if ours.startswith("trunk.")}
    for modality, stem in network.stems.items():
        names |= {f"stems.{modality}.{name}": name for name in stem.state_dict()}
    return {ours: state[name] for ours, name in names.items() if name in state}


def _load_backbone(network: TwoStreamNetwork, state: Mapping[str, Tensor], source: str) -> None:
    """Load stems and trunk from ``state``; neck and classifier keep their initial weights."""
    wanted = {name: value for name, value in network.state_dict().items() if name.startswith(("stems.", "trunk."))}
    require_tensors(source, network.backbone, state, wanted)
    network.load_state_dict({name: state[name] for name in wanted}, strict=False)
