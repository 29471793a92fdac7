"""Save the state of a run in a checkpoint, and resume the run as if it had never stopped."""

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from lba_cli import processes
from lba_cli.compute import resolve_device, resolve_precision
from lba_cli.config import Config, DataSection, EvaluationSection, LossSection, differences
from lba_cli.data.samples import selected_on
from lba_cli.data.store import ImageSource, selection_set
from lba_cli.datasets import DATASETS
from lba_cli.errors import TrainingError, short_repr
from lba_cli.evaluation.setting_choice import selection_setting
from lba_cli.methods import get_method
from lba_cli.model import TwoStreamNetwork
from lba_cli.model.checkpoint import Checkpoint, Description
from lba_cli.model.tensor_files import is_whole_tensor
from lba_cli.model.training_record import TrainingRecord
from lba_cli.reporting import Listener, Silent

# Keys that may change when a run is resumed, because they don't change the result of its epochs.
CHANGEABLE_KEYS = {
    "run.device",
    "data.dataset",
    "data.root",
    "data.workers",
    "data.device_cache",
    "train.epochs",
    "train.checkpoint_activations",
    "train.checkpoint_minutes",
    "train.tensorboard",
    *(f"evaluation.{key}" for key in EvaluationSection.model_fields if key != "batch_size"),
}


@dataclass
class Progress:
    """The position of a run. Random numbers depend only on seed, epoch and step, so no generator has to be saved."""

    epoch: int = 0  # the current epoch, counted from 0
    step: int = 0  # the next step of this epoch, counted from 0
    # sums over this epoch's steps, by group (losses, diagnostics) and name
    sums: dict[str, dict[str, float]] = field(default_factory=dict)
    best: float = -1.0  # the highest mAP so far; -1 before the first evaluation
    figures: dict[str, float] = field(default_factory=dict)  # the figures of the last evaluation, as fractions


@dataclass(frozen=True)
class History:
    """The people that the network of a run has been trained on.

    Attributes:
        people: the people of this run, see :class:`TrainingRecord`.
        earlier: the records of the models that the network was started from.
        note: a remark for readers of the run's figures.
    """

    people: dict[str, str]
    earlier: tuple[TrainingRecord, ...] = ()
    note: str = ""


def resolve_auto(config: Config, dataset: str, listener: Listener = Silent()) -> Config:
    """Replace each ``auto`` with its value for this data set and machine, and fill in every default; a run saves the result.

    The listener is warned as by :func:`~lba_cli.compute.resolve_device`.

    Raises:
        ConfigError: the machine doesn't have the device.
    """
    device = resolve_device(config.run.device, listener)
    run = config.run.model_copy(update={"device": str(device)})
    precision = resolve_precision(config.train.precision, device)
    train = config.train.model_copy(update={"precision": precision})
    own = config.data.options_for(DATASETS[dataset]).model_dump() if dataset in DATASETS else {}
    data = DataSection(**{**config.data.model_dump(), "dataset": dataset, **own})
    loss = LossSection(**get_method(train.method).weights(config.loss.weights()))
    return config.model_copy(update={"run": run, "train": train, "data": data, "loss": loss})


def make_checkpoint(
    config: Config,
    source: ImageSource,
    network: TwoStreamNetwork,
    progress: Progress,
    optimizer: torch.optim.Optimizer | None,
    history: History,
) -> Checkpoint:
    """Return the current state as a checkpoint.

    Without an optimizer, it is the run's best checkpoint, which the figures in ``progress`` selected; it can't be resumed.
    """
    description = Description(
        backbone=network.backbone,
        num_classes=network.num_classes,
        height=config.data.height,
        width=config.data.width,
        dataset=source.name,
        epoch=progress.epoch if progress.step else progress.epoch - 1,
        figures=progress.figures,
        figures_setting=_setting_words(source) if progress.figures else "",
        selected_on="" if optimizer or not progress.figures else selected_on(source.samples),
        config=config.values(),
        trial=source.trial,
        people=history.people,
        earlier=[vars(record) for record in history.earlier],
        figures_note=history.note if progress.figures else "",
        non_local=bool(network.non_local),
        retrieval=network.retrieval,
    )
    if not optimizer:
        return Checkpoint(description, network.state_dict())
    training = {
        "progress": vars(progress),
        "optimizer": optimizer.state_dict(),
        "data": _digests(source),
        "processes": processes.current().size,
    }
    return Checkpoint(description, network.state_dict(), training)


def restore(
    checkpoint: Checkpoint,
    network: TwoStreamNetwork,
    optimizer: torch.optim.Optimizer,
    source: ImageSource,
    name: str,
    end: tuple[int, int],
) -> Progress:
    """Load a checkpoint's state into ``network`` and ``optimizer``, and return its position.

    The training state is checked before anything is replaced.

    Args:
        network, optimizer: a network and an optimizer of the run's configuration, with any values.
        source: the data with which the run would continue.
        name: the run's name, for messages.
        end: the configured numbers of epochs and of steps in each epoch, which the position may not exceed.

    Raises:
        TrainingError: the training state is missing, damaged or beyond ``end``, or belongs to another run, other data or
            another number of processes.
    """
    state: dict[str, Any] = checkpoint.training
    if not state:
        raise TrainingError(f"{name}: can't be resumed: its checkpoint has no training state, like every best.pt")
    started = state.get("processes", 1)
    if started != processes.current().size:
        raise TrainingError(
            f"{name}: the number of processes was {short_repr(started)} and is now {processes.current().size}, which would change "
            "the batches: resume the run with the same number (torchrun --nproc-per-node), or start a new run"
        )
    try:
        progress = _progress(state["progress"])
        moments = _moments(state["optimizer"], optimizer)
        data_changed = _data_changed(state["data"], _digests(source))
        network.load_state_dict(checkpoint.weights)
    except (LookupError, TypeError, ValueError, RuntimeError, AttributeError) as problem:
        raise TrainingError(
            f"{name}: can't be resumed: its training state is damaged or belongs to another run"
        ) from problem
    if data_changed:
        raise TrainingError(
            f"{name}: the data changed after the run was started; resume it with the original images and labels"
        )
    if progress.epoch > end[0] or progress.step > end[1]:
        raise TrainingError(
            f"{name}: has already reached epoch {progress.epoch + 1}, step {progress.step}, beyond train.epochs={end[0]} with "
            f"{end[1]} steps each: set a larger train.epochs"
        )
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
    return progress


def _setting_words(source: ImageSource) -> str:
    people = ", validation people" if selected_on(source.samples) == "validation" else ""
    return f"{selection_setting(selection_set(source))}{people}"


def _digests(source: ImageSource) -> dict[str, str]:
    """Return digests of the listing, of the samples in use, and of the pixels (empty for a folder without a store)."""
    records = "\n".join(f"{s.path}\t{s.identity}\t{s.camera}\t{s.modality}\t{s.split}" for s in source.samples)
    digest = hashlib.sha256(records.encode(errors="surrogateescape")).hexdigest()
    return {"listing": source.fingerprint, "records": digest, "content": source.content}


def _data_changed(before: Mapping[str, str], now: Mapping[str, str]) -> bool:
    """Return whether the digests differ; pixels are only compared if both sides have a digest of them."""
    contents = before["content"], now["content"]
    changed = all(contents) and contents[0] != contents[1]
    return changed or any(before[name] != now[name] for name in ("listing", "records"))


def _progress(values: dict[str, Any]) -> Progress:
    """Check a saved position; raise TypeError, ValueError or AttributeError if it isn't valid."""
    progress = Progress(**values)
    sums = [total for group in progress.sums.values() for total in group.values()]
    numbers = [progress.best, *sums, *progress.figures.values()]
    if not all(type(count) is int and 0 <= count < 2**31 for count in (progress.epoch, progress.step)):
        raise ValueError("not an epoch or a step")
    if not all(type(number) is float and math.isfinite(number) for number in numbers):
        raise ValueError("not a figure")
    if progress.step and "total" not in progress.sums.get("losses", {}):
        raise ValueError("steps without their losses")
    return progress


def _moments(values: dict[str, Any], optimizer: torch.optim.Optimizer) -> dict[int, Any]:
    """Check that each tensor of a saved optimizer state fits its parameter and is finite; return the state by parameter number.

    Raises LookupError, TypeError, ValueError or AttributeError if the state doesn't fit the parameters.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    numbers = [number for group in values["param_groups"] for number in group["params"]]
    if numbers != list(range(len(parameters))):
        raise ValueError("the optimizer state belongs to other parameters")
    moments: dict[int, Any] = values["state"]
    if moments and moments.keys() != set(numbers):
        raise ValueError("the optimizer state doesn't hold the momentum of exactly these parameters")
    for number, saved in moments.items():
        for name, value in saved.items():
            is_momentum = name == "momentum_buffer" and is_whole_tensor(value, parameters[number])
            if not is_momentum or not torch.isfinite(value).all():
                raise ValueError(f"the state of parameter {number} isn't a finite momentum of its shape")
    return moments


def require_same_run(before: Mapping[str, Any], now: Config, source: str) -> str:
    """Refuse to resume a run if config keys changed that affect its result; return the other changes as one line.

    Raises:
        TrainingError: such keys changed; the message names them.
    """
    changed = differences(before, now.values())
    if refused := _as_line(change for change in changed if change[0] not in CHANGEABLE_KEYS):
        raise TrainingError(
            f"{source}: the run was started with another configuration ({refused}); undo these changes, or start a new run"
        )
    return _as_line(changed)


def _as_line(changed: Iterable[tuple[str, Any, Any]]) -> str:
    return "; ".join(f"{key}: {old} → {new}" for key, old, new in changed)
