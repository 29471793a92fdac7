"""Checkpoints that describe themselves: ours, the method's released one, and exported safetensors."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeGuard

import torch
from torch import Tensor

from lba_cli.errors import CheckpointError, quoted, short_repr
from lba_cli.files import whole_file
from lba_cli.model.network import IMAGE_SIZE, TwoStreamNetwork
from lba_cli.model.official_layout import BACKBONE, from_released
from lba_cli.model.tensor_files import fits, load_pickled, load_safetensors
from lba_cli.signals import signals_deferred
from lba_cli.vocabulary import BACKBONES, LARGEST_SIDE

FORMAT = "lba-checkpoint"
VERSION = 2
MOST_CLASSES = 2**20
LONGEST_NAME = 200
HALVES = (torch.float16, torch.bfloat16)


@dataclass(frozen=True)
class Description:
    """What a network file says of itself, enough to rebuild the network and to feed it.

    Attributes:
        backbone: a torchvision ResNet's name.
        num_classes: identities the classifier tells apart.
        height, width: of the input images, in pixels.
        dataset: the name of the data set it was trained on.
        epoch: the last one it was trained for, counted from 0.
        figures: retrieval figures at that epoch, as fractions.
        figures_setting: the evaluation setting of the figures, in words.
        config: the resolved configuration of its run; empty for the released checkpoint.
        trial: the data set's trial that it was trained on; 0 where the data set has only one.
        identities: whom it was trained on, where a user draws the split; empty for data sets that come with theirs.
    """

    backbone: str
    num_classes: int
    height: int
    width: int
    dataset: str = ""
    epoch: int = -1
    figures: dict[str, float] = field(default_factory=dict)
    figures_setting: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    trial: int = 0
    identities: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Checkpoint:
    """A file's content: its description, the network's state dict, and the state of the training, where it has one."""

    description: Description
    weights: dict[str, Tensor]
    training: dict[str, Any] = field(default_factory=dict)


def load_network(path: str | Path, device: str | torch.device = "cpu") -> TwoStreamNetwork:
    """Rebuild a network, in eval mode, from a checkpoint alone: ours, the released one, or our safetensors export.

    Raises:
        CheckpointError: the file is missing, damaged, of another network, or would run code.
    """
    return rebuild(read_checkpoint(Path(path))).to(device)


def rebuild(checkpoint: Checkpoint) -> TwoStreamNetwork:
    """The checkpoint's network, on the CPU and in eval mode."""
    description = checkpoint.description
    with torch.device("meta"):
        size = description.height, description.width
        network = TwoStreamNetwork(description.backbone, description.num_classes, size)
    weights = {
        name: tensor.contiguous() for name, tensor in checkpoint.weights.items()
    }  # they were trained channels-last
    network.load_state_dict(weights, assign=True)
    network.neck.bias.requires_grad_(False)
    return network.eval()


def read_checkpoint(path: Path) -> Checkpoint:
    """Read and check a checkpoint: every tensor's name, shape and finiteness.

    Raises:
        CheckpointError: naming what is wrong with it.
    """
    if path.suffix == ".safetensors":
        return from_safetensors(path, *load_safetensors(path))
    return from_pickled(path, load_pickled(path))


def from_safetensors(path: Path, weights: dict[str, Tensor], metadata: dict[str, str]) -> Checkpoint:
    """The checkpoint that a safetensors file's content is; raises as :func:`read_checkpoint`.

    Weights that were exported in half precision become float32.
    """
    full = {name: value.float() if value.dtype in HALVES else value for name, value in weights.items()}
    checkpoint = Checkpoint(_description(_metadata(path, metadata), path), full)
    _check_weights(path, checkpoint)
    return checkpoint


def from_pickled(path: Path, content: Any) -> Checkpoint:
    """The checkpoint that a pickled file's content is; raises as :func:`read_checkpoint`."""
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: not a checkpoint: it holds a {type(content).__name__}")
    checkpoint = _released(path, content) if "net" in content else _ours(path, content)
    _check_weights(path, checkpoint)
    return checkpoint


def fingerprint(weights: Mapping[str, Tensor]) -> str:
    """The SHA-256 of a network's weights, in hexadecimal: their names, types, shapes and values."""
    digest = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def is_checkpoint(content: Any) -> bool:
    """Whether a pickled file's content is a checkpoint's: ours, or the released one."""
    return isinstance(content, dict) and (content.get("format") == FORMAT or isinstance(content.get("net"), dict))


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write ``checkpoint`` to ``path``, whole or not at all."""
    content = {
        "format": FORMAT,
        "version": VERSION,
        "description": vars(checkpoint.description),
        "weights": checkpoint.weights,
        "training": checkpoint.training,
    }
    buffer = io.BytesIO()
    with signals_deferred():  # PyTorch's writer ends the process when an exception, or a full disk, comes in between
        torch.save(content, buffer)
    with whole_file(path) as partial:
        partial.write_bytes(buffer.getbuffer())


def _ours(path: Path, content: dict[str, Any]) -> Checkpoint:
    if content.get("format") != FORMAT:
        raise CheckpointError(
            f"{path}: neither a checkpoint of lba nor the method's released one (no 'format', no 'net')"
        )
    version, weights, training = (content.get(name) for name in ("version", "weights", "training"))
    if type(version) is not int or version != VERSION:
        raise CheckpointError(
            f"{path}: a checkpoint of format version {short_repr(version)}; this lba reads version {VERSION}: train the network again, or export "
            "it as safetensors with the lba that wrote it"
        )
    if not _has_names(weights) or not isinstance(training, dict):
        raise CheckpointError(f"{path}: damaged: 'weights' and 'training' are missing")
    return Checkpoint(_description(content.get("description"), path), weights, training)


def _released(path: Path, content: dict[str, Any]) -> Checkpoint:
    state = content["net"]
    classifier = state.get("classifier.weight") if _has_names(state) else None
    if not isinstance(classifier, Tensor) or classifier.ndim != 2:
        raise CheckpointError(f"{path}: 'net' is not the method's state dict: it has no 'classifier.weight'")
    epoch = content.get("epoch")
    values = (BACKBONE, classifier.shape[0], *IMAGE_SIZE, "SYSU-MM01", epoch if type(epoch) is int else -1)
    description = _description(dict(zip((f.name for f in fields(Description)), values, strict=False)), path)
    return Checkpoint(description, from_released(state))


def _has_names(state: Any) -> TypeGuard[dict[str, Any]]:
    """Whether ``state`` is a dictionary whose keys are words."""
    return isinstance(state, dict) and all(type(name) is str for name in state)


def _metadata(path: Path, metadata: dict[str, str]) -> Any:
    try:
        return json.loads(metadata["lba"])["lba"]
    except (KeyError, TypeError, ValueError, RecursionError) as problem:
        raise CheckpointError(f"{path}: not exported by lba: its metadata don't describe a network") from problem


def _description(values: Any, path: Path) -> Description:
    try:
        description = Description(**values)
        sound = (
            description.backbone in BACKBONES
            and _is_count(description.num_classes, MOST_CLASSES)
            and all(_is_count(side, LARGEST_SIDE) for side in (description.height, description.width))
            and isinstance(description.dataset, str)
            and description.dataset.isprintable()
            and len(description.dataset) < LONGEST_NAME
            and isinstance(description.figures_setting, str)
            and len(description.figures_setting) < LONGEST_NAME
            and all(type(number) is int for number in (description.epoch, description.trial))
            and isinstance(description.identities, list)
            and all(type(identity) is int for identity in description.identities)
            and all(type(figure) is float for figure in description.figures.values())
            and all(isinstance(section, dict) for section in description.config.values())
            and all(
                isinstance(name, str)
                for section in (description.config, *description.config.values())
                for name in section
            )
        )
    except (TypeError, AttributeError):
        sound = False
    if not sound:
        raise CheckpointError(f"{path}: damaged: it doesn't describe its network")
    return description


def _is_count(value: Any, most: int) -> bool:
    return type(value) is int and 0 < value <= most


def _check_weights(path: Path, checkpoint: Checkpoint) -> None:
    with torch.device("meta"):
        expected = TwoStreamNetwork(checkpoint.description.backbone, checkpoint.description.num_classes).state_dict()
    found = checkpoint.weights
    what = f"{path}: not the weights of a two-stream {checkpoint.description.backbone}"
    for name in sorted(expected.keys() ^ found.keys()):
        raise CheckpointError(f"{what}: tensor {quoted(name)} is {'missing' if name in expected else 'unknown'}")
    for name, tensor in expected.items():
        value = found[name]
        if not fits(value, tensor):
            plain = isinstance(value, Tensor) and value.layout is torch.strided
            seen = f"{tuple(value.shape)} {value.dtype}" if plain else f"a {type(value).__name__}"
            if plain and value.shape == tensor.shape and value.dtype == tensor.dtype:
                seen = "a tensor without its values"
            raise CheckpointError(
                f"{what}: '{name}' should be {tuple(tensor.shape)} {tensor.dtype}, the file has {seen}"
            )
        if not torch.isfinite(value).all():
            raise CheckpointError(f"{path}: tensor '{name}' has values that are not finite")
