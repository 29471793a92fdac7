"""Checkpoint files, from which a network is rebuilt: those of lba, the method's released one, and exported safetensors."""

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor

from lba_cli.errors import CheckpointError, quoted, short_repr
from lba_cli.files import whole_file
from lba_cli.model.foreign_files import converted, has_string_keys, read_foreign
from lba_cli.model.network import IMAGE_SIZE, TwoStreamNetwork
from lba_cli.model.official_layout import BACKBONE, has_non_local_blocks, require_non_local, retrieval_of
from lba_cli.model.tensor_files import is_legacy, load_pickled, load_safetensors, require_tensors
from lba_cli.model.training_record import MAX_NAME_LENGTH, TrainingRecord
from lba_cli.signals import signals_deferred
from lba_cli.value_range import FULL, ValueRange, parse_value_range
from lba_cli.vocabulary import BACKBONES, LARGEST_SIDE, FeaturePlace

FORMAT = "lba-checkpoint"
VERSION = 3
MAX_CLASSES = 2**20
MAX_NOTE_LENGTH = 10_000
# The data set of a foreign file by the number of identities that its classifier tells apart; the files don't name it.
RELEASED_CLASSES = {395: "SYSU-MM01"}


@dataclass(frozen=True)
class Description:
    """What is needed to rebuild a network and to prepare images for it, and how it was trained."""

    backbone: str  # the name of a torchvision ResNet
    num_classes: int  # the number of identities that the classifier tells apart
    height: int  # of the input images, in pixels
    width: int
    dataset: str = ""  # the name of the data set that the network was trained on
    epoch: int = -1  # the last epoch of its training, counted from 0; -1 if unknown
    figures: dict[str, float] = field(default_factory=dict)  # retrieval figures at that epoch, as fractions
    figures_setting: str = ""  # the evaluation setting of the figures, in words
    config: dict[str, Any] = field(default_factory=dict)  # its run's resolved config; empty for the released checkpoint
    trial: int = 0  # the data set's trial that it was trained on, from 1; 0 for data sets without trials
    people: dict[str, str] | None = None  # that it was trained on, see TrainingRecord
    # the records of the models that it was started from, as dictionaries of their attributes
    earlier: list[dict[str, Any]] = field(default_factory=list)
    selected_on: str = ""  # by whose mAP this epoch was chosen: test, validation; empty if it wasn't, as for last.pt
    figures_note: str = ""  # what a reader of the figures has to know
    non_local: bool = False  # whether the network has non-local blocks
    retrieval: FeaturePlace = "pooled"  # its retrieval feature

    @property
    def method(self) -> str:
        """The method that the network was trained with; the released layout doesn't name it, but its tensors leave two."""
        if self.config:
            return str(self.config.get("train", {}).get("method", ""))
        return f"{'AGW or CAJ' if self.non_local else 'full or baseline'} (released layout)"

    def records(self) -> tuple[TrainingRecord, ...]:
        """Return the record of its training people, followed by those of the models that it was started from."""
        own = TrainingRecord(self.dataset, self.trial, self.people)
        return (own, *(TrainingRecord(**values) for values in self.earlier))

    def without_people(self) -> "Description":
        """Return a copy without the records of training people, for exported programs, which aren't scored as checkpoints are."""
        return replace(self, people=None, earlier=[])

    @property
    def value_range(self) -> ValueRange:
        """The configuration's ``data.value_range``; raises ValueError if it isn't valid."""
        return parse_value_range(self.config.get("data", {}).get("value_range", FULL))  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Checkpoint:
    """A network's state dict with its description.

    Attributes:
        training: the state of its training; empty if it can't be resumed.
        size_is_known: whether the file says for which image size the network was trained. Foreign files don't.
    """

    description: Description
    weights: dict[str, Tensor]
    training: dict[str, Any] = field(default_factory=dict)
    size_is_known: bool = True


def load_network(path: str | Path, device: str | torch.device = "cpu") -> TwoStreamNetwork:
    """Load a network from a file: a checkpoint of lba, or one in the released layout of the method, of AGW or of CAJ.

    Either may be a pickle or a safetensors file. No code in it is run.

    Returns:
        The network in eval mode, on ``device``.

    Raises:
        CheckpointError: the file is missing or damaged, holds another kind of network, or would run code.

    Example:
        >>> network = load_network("runs/paper/checkpoints/last.pt")
        >>> network.embed(images, "infrared")  # (N, 3, H, W) normalised images → (N, 2048)
    """
    return rebuild_network(read_checkpoint(Path(path))).to(device)


def rebuild_network(checkpoint: Checkpoint) -> TwoStreamNetwork:
    """Build the network of a checkpoint, on the CPU and in eval mode."""
    network = _empty_network(checkpoint)
    # Checkpoints keep the channels-last memory format of training.
    weights = {name: tensor.contiguous() for name, tensor in checkpoint.weights.items()}
    network.load_state_dict(weights, assign=True)
    network.neck.bias.requires_grad_(False)
    network.value_range = checkpoint.description.value_range
    return network.eval()


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint and check it: its description, and the name, shape, dtype and values of every tensor.

    Raises:
        CheckpointError: the file is missing or damaged, holds another kind of network, or would run code.
    """
    if path.suffix == ".safetensors":
        return from_safetensors(path, *load_safetensors(path))
    return from_pickled(path, load_pickled(path))


def from_safetensors(path: Path, weights: dict[str, Tensor], metadata: dict[str, str]) -> Checkpoint:
    """Make a checkpoint from a safetensors file's content, and check it as :func:`read_checkpoint` does.

    Weights that were exported in half precision become float32.
    """
    if "lba" not in metadata:
        return _foreign(path, weights)
    try:
        description = json.loads(metadata["lba"])["lba"]
    except (KeyError, TypeError, ValueError, RecursionError) as problem:
        raise CheckpointError(f"{path}: damaged: its metadata doesn't describe a network") from problem
    unknown = set(description) - {known.name for known in fields(Description)} if isinstance(description, dict) else ()
    if unknown:
        raise CheckpointError(
            f"{path}: exported by another lba release: its description has the unknown key {quoted(min(unknown))}; export it again"
        )
    checkpoint = Checkpoint(_description(description, path), weights)
    return _checked(path, replace(checkpoint, weights=converted(weights, _empty_network(checkpoint).state_dict())))


def from_pickled(path: Path, content: Any) -> Checkpoint:
    """Make a checkpoint of a pickled file's content, and check it as :func:`read_checkpoint` does."""
    return _checked(path, _ours(path, content)) if is_checkpoint(content) else _foreign(path, content)


def fingerprint(weights: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of the names, dtypes, shapes and values of weights, in hexadecimal."""
    digest = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def is_checkpoint(content: Any) -> bool:
    """Return whether a pickled file's content is a checkpoint of lba."""
    return isinstance(content, dict) and isinstance(content.get("format"), str) and content["format"] == FORMAT


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write ``checkpoint`` to ``path`` atomically."""
    content = {
        "format": FORMAT,
        "version": VERSION,
        "description": vars(checkpoint.description),
        "weights": checkpoint.weights,
        "training": checkpoint.training,
    }
    buffer = io.BytesIO()
    with signals_deferred():  # an exception in PyTorch's writer would end the process
        torch.save(content, buffer)
    with whole_file(path) as partial:
        partial.write_bytes(buffer.getbuffer())


def _ours(path: Path, content: dict[str, Any]) -> Checkpoint:
    version, weights, training = (content.get(name) for name in ("version", "weights", "training"))
    if type(version) is not int or version != VERSION:
        raise CheckpointError(
            f"{path}: a checkpoint of format version {short_repr(version)}, but this lba release reads "
            f"version {VERSION}: train the network again (lba train), with the config.yaml of its run"
        )
    if is_legacy(path):
        raise CheckpointError(f"{path}: refused: a checkpoint of lba in a file format that lba has never written")
    if not has_string_keys(weights) or not isinstance(training, dict):
        raise CheckpointError(f"{path}: damaged: 'weights' or 'training' is missing or invalid")
    return Checkpoint(_description(content.get("description"), path), weights, training)


def _foreign(path: Path, content: Any) -> Checkpoint:
    """Make a checkpoint of a state dict in the released layout, with or without what its training code kept beside it."""
    layout, state = read_foreign(path, content)
    if layout != "released":
        what = "an ordinary ResNet" if layout == "resnet" else "a network of lba without its description"
        raise CheckpointError(
            f"{path}: the weights of {what}, not of a trained model: start a training from them with "
            f"lba train --set model.pretrained={path}"
        )
    classifier = state.get("classifier.weight")
    if not isinstance(classifier, Tensor) or classifier.ndim != 2:
        raise CheckpointError(f"{path}: not the method's state dict: it has no 'classifier.weight'")
    classes, epoch, non_local = classifier.shape[0], content.get("epoch"), has_non_local_blocks(state)
    values = {
        "backbone": BACKBONE,
        "num_classes": classes,
        **dict(zip(("height", "width"), IMAGE_SIZE, strict=True)),
        "dataset": RELEASED_CLASSES.get(classes, ""),
        "epoch": epoch if type(epoch) is int else -1,
        "non_local": non_local,
        "retrieval": retrieval_of(non_local),
    }
    checkpoint = Checkpoint(_description(values, path), state, size_is_known=False)
    wanted = _empty_network(checkpoint).state_dict()
    weights = converted(state, wanted)
    require_non_local(path, weights, wanted)
    return _checked(path, replace(checkpoint, weights=weights))


def _description(values: Any, path: Path) -> Description:
    """Make a description from untrusted values; raise a CheckpointError if one is invalid."""
    try:
        description = Description(**values)
        is_valid = _is_valid(description)
    except (TypeError, AttributeError, ValueError):
        is_valid = False
    if not is_valid:
        raise CheckpointError(f"{path}: damaged: it doesn't describe its network")
    return description


def _is_valid(description: Description) -> bool:
    """Check the types and ranges of all values; raise an error or return False if one is wrong."""
    sections = description.config.values()
    return (
        description.backbone in BACKBONES
        and _is_count(description.num_classes, MAX_CLASSES)
        and _is_count(description.height, LARGEST_SIDE)
        and _is_count(description.width, LARGEST_SIDE)
        and all(record.is_valid() for record in description.records())
        and isinstance(description.figures_setting, str)
        and len(description.figures_setting) < MAX_NAME_LENGTH
        and description.selected_on in ("", "validation", "test")
        and type(description.epoch) is int
        and isinstance(description.figures_note, str)
        and len(description.figures_note) < MAX_NOTE_LENGTH
        and type(description.non_local) is bool
        and description.retrieval in get_args(FeaturePlace)
        and all(type(figure) is float for figure in description.figures.values())
        and all(isinstance(section, dict) for section in sections)
        and bool(description.value_range)
        and all(isinstance(name, str) for section in (description.config, *sections) for name in section)
    )


def _is_count(value: Any, largest: int) -> bool:
    return type(value) is int and 0 < value <= largest


def _checked(path: Path, checkpoint: Checkpoint) -> Checkpoint:
    """Return the checkpoint; raises a CheckpointError if a tensor is missing, unknown, or not as the network needs it."""
    described = checkpoint.description
    blocks = " with non-local blocks" if described.non_local else ""
    wanted, network = _empty_network(checkpoint).state_dict(), f"two-stream {described.backbone}{blocks}"
    for name in sorted(wanted.keys() ^ checkpoint.weights.keys()):
        state = "missing" if name in wanted else "unknown"
        raise CheckpointError(f"{path}: not weights of a {network}: tensor {quoted(name)} is {state}")
    require_tensors(str(path), network, checkpoint.weights, wanted)
    return checkpoint


def _empty_network(checkpoint: Checkpoint) -> TwoStreamNetwork:
    """Build the network of a checkpoint on PyTorch's meta device, without memory for its weights."""
    description = checkpoint.description
    with torch.device("meta"):
        size = description.height, description.width
        return TwoStreamNetwork(
            description.backbone,
            description.num_classes,
            size,
            non_local=description.non_local,
            retrieval=description.retrieval,
        )
