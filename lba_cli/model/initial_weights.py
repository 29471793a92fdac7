"""Initial weights of a network: ImageNet weights from torchvision, a file, or random ones."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchvision.models import get_model_weights

from lba_cli.errors import ConfigError
from lba_cli.manifest import sha256_of
from lba_cli.model.checkpoint import RELEASED_CLASSES, Checkpoint, from_pickled, from_safetensors, is_checkpoint
from lba_cli.model.foreign_files import Layout, converted, read_foreign
from lba_cli.model.network import IMAGE_SIZE, TwoStreamNetwork
from lba_cli.model.official_layout import NON_LOCAL, has_non_local_blocks
from lba_cli.model.tensor_files import load_pickled, load_safetensors, require_tensors
from lba_cli.model.training_record import TrainingRecord
from lba_cli.vocabulary import FeaturePlace


def build_network(
    backbone: str,
    num_classes: int,
    pretrained: str,
    seed: int,
    image_size: tuple[int, int] = IMAGE_SIZE,
    *,
    non_local: bool = False,
    retrieval: FeaturePlace = "pooled",
) -> TwoStreamNetwork:
    """Build a network with initial weights.

    Args:
        backbone, num_classes, image_size, non_local, retrieval: as for :class:`TwoStreamNetwork`.
        pretrained: the weights of stems and trunk: ``imagenet`` (downloaded by torchvision), ``none`` (random), or a file with a
            torchvision state dict or a checkpoint. Non-local blocks are loaded if both the network and the file have them.
        seed: the seed of random weights. PyTorch's global generator doesn't change.

    Raises:
        ConfigError: the weights can't be downloaded.
        CheckpointError: the file holds no weights of this backbone.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed the GPUs' generators, too
        network = TwoStreamNetwork(backbone, num_classes, image_size, non_local=non_local, retrieval=retrieval)
    if pretrained == "imagenet":
        state = _from_resnet(network, _download(backbone))
        _load_backbone(network, state, f"torchvision's ImageNet weights of {backbone}")
    elif pretrained != "none":
        _load_backbone(network, _read_file(network, Path(pretrained)), pretrained)
    return network


def starting_records(backbone: str, pretrained: str) -> tuple[TrainingRecord, ...]:
    """Return the records of the people that the weights ``pretrained`` of :func:`build_network` were trained on.

    Random weights and torchvision's files (recognised by their SHA-256) have none. Any other file without records has an
    empty one.
    """
    if pretrained in ("imagenet", "none"):
        return ()
    content = _open(Path(pretrained))
    if isinstance(content, Checkpoint):
        return content.description.records()
    layout, state = content
    if layout == "released":
        return (TrainingRecord(RELEASED_CLASSES.get(len(state.get("classifier.weight", ())), "")),)
    digest, urls = sha256_of(Path(pretrained)), [weights.url for weights in get_model_weights(backbone)]
    is_torchvision = any(digest.startswith(url.rpartition("-")[2].removesuffix(".pth")) for url in urls)
    return () if is_torchvision else (TrainingRecord(),)


def _download(backbone: str) -> Mapping[str, Tensor]:
    weights = get_model_weights(backbone)["IMAGENET1K_V1"]
    try:
        state: Mapping[str, Tensor] = weights.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as problem:  # URLError is an OSError; a wrong hash is a RuntimeError
        raise ConfigError(
            f"the ImageNet weights of {backbone} could not be downloaded ({problem}): download {weights.url} elsewhere and "
            "name the file with --set model.pretrained=FILE, or start from random weights with --set model.pretrained=none"
        ) from problem
    return state


def _read_file(network: TwoStreamNetwork, path: Path) -> Mapping[str, Tensor]:
    """Read the weights of a checkpoint or of an ordinary ResNet, and return them keyed by the network's tensor names."""
    content = _open(path)
    if isinstance(content, Checkpoint):
        return content.weights
    layout, state = content
    return converted(_from_resnet(network, state) if layout == "resnet" else state, network.state_dict())


def _open(path: Path) -> Checkpoint | tuple[Layout, dict[str, Any]]:
    """Read a checkpoint of lba, or the layout and the state dict of another file."""
    content: Any
    if path.suffix == ".safetensors":
        content, metadata = load_safetensors(path)
        if "lba" in metadata:
            return from_safetensors(path, content, metadata)
    else:
        content = load_pickled(path)
        if is_checkpoint(content):
            return from_pickled(path, content)
    return read_foreign(path, content)


def _from_resnet(network: TwoStreamNetwork, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Convert an ordinary ResNet's state dict to the network's tensor names; both stems get its first layers."""
    names = {ours: ours.removeprefix("trunk.") for ours in network.state_dict() if ours.startswith("trunk.")}
    for modality, stem in network.stems.items():
        names |= {f"stems.{modality}.{name}": name for name in stem.state_dict()}
    return {ours: state[name] for ours, name in names.items() if name in state}


def _load_backbone(network: TwoStreamNetwork, state: Mapping[str, Tensor], source: str) -> None:
    """Load stems, trunk and non-local blocks from ``state``; neck and classifier keep their initial weights.

    So do the blocks, which change nothing at first, if ``state`` has none.
    """
    parts = ("stems.", "trunk.", *((NON_LOCAL,) if has_non_local_blocks(state) else ()))
    wanted = {name: value for name, value in network.state_dict().items() if name.startswith(parts)}
    require_tensors(source, network.backbone, state, wanted)
    network.load_state_dict({name: state[name] for name in wanted}, strict=False)
