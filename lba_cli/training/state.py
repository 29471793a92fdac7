"""What a run knows at a moment, as a checkpoint: enough to go on as if it had never stopped."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from lba_cli import processes
from lba_cli.compute import resolve_device, resolve_precision
from lba_cli.config import Config, DataSection, EvaluationSection, LossSection, differences
from lba_cli.data.samples import identity_classes
from lba_cli.data.store import ImageSource
from lba_cli.datasets import DATASETS, get_dataset
from lba_cli.errors import TrainingError, short_repr
from lba_cli.evaluation.setting_choice import selection_setting
from lba_cli.methods import get_method
from lba_cli.model import TwoStreamNetwork
from lba_cli.model.checkpoint import Checkpoint, Description
from lba_cli.model.tensor_files import fits

# Settings that may change when a run is resumed: they say where and for how long, not what a step computes.
HARMLESS = {
    "run.device",
    "data.dataset",
    "data.root",
    "data.workers",
    "data.device_cache",
    "train.epochs",
    "train.checkpoint_minutes",
    "train.tensorboard",
    *(f"evaluation.{key}" for key in EvaluationSection.model_fields if key != "batch_size"),
}


@dataclass
class Progress:
    """Where a run is. Everything random is addressed by epoch and step, so no generator needs saving.

    Attributes:
        epoch: the one under way, or the next.
        step: of it, the next one to take.
        sums: of each loss over the steps taken in this epoch.
        best: the highest mAP so far; -1 before the first evaluation.
        figures: of the last evaluation.
    """

    epoch: int = 0
    step: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    best: float = -1.0
    figures: dict[str, float] = field(default_factory=dict)

    def begin_epoch(self, epoch: int) -> None:
        """Start ``epoch`` at its first step."""
        self.epoch, self.step, self.sums = epoch, 0, {}


def settle(config: Config, dataset: str) -> Config:
    """The configuration with what ``auto`` means for these data and on this machine, which is what a run keeps.

    Raises:
        ConfigError: the device isn't here.
    """
    device = resolve_device(config.run.device)
    run = config.run.model_copy(update={"device": str(device)})
    precision = resolve_precision(config.train.precision, device)
    train = config.train.model_copy(update={"precision": precision})
    own = {}
    if dataset in DATASETS:
        own = config.data.options_for(DATASETS[dataset]).model_dump()
    data = DataSection(**{**config.data.model_dump(), "dataset": dataset, **own})
    loss = LossSection(**get_method(train.method).weights(config.loss.weights()))
    return config.model_copy(update={"run": run, "train": train, "data": data, "loss": loss})


def snapshot(
    config: Config,
    source: ImageSource,
    network: TwoStreamNetwork,
    progress: Progress,
    optimizer: torch.optim.Optimizer | None,
) -> Checkpoint:
    """The present state as a checkpoint; without an optimizer it can be evaluated but not resumed."""
    description = Description(
        backbone=network.backbone,
        num_classes=network.num_classes,
        height=config.data.height,
        width=config.data.width,
        dataset=source.name,
        epoch=progress.epoch if progress.step else progress.epoch - 1,
        figures=progress.figures,
        figures_setting=str(selection_setting(source)) if progress.figures else "",
        config=config.values(),
        trial=source.trial,
        identities=sorted(identity_classes(source.samples)) if get_dataset(source.dataset).split_is_drawn else [],
    )
    training = {}
    if optimizer:
        training = {
            "progress": vars(progress),
            "optimizer": optimizer.state_dict(),
            "data": _data(source),
            "processes": processes.current().size,
        }
    return Checkpoint(description, network.state_dict(), training)


def restore(
    checkpoint: Checkpoint,
    network: TwoStreamNetwork,
    optimizer: torch.optim.Optimizer,
    source: ImageSource,
    name: str,
) -> Progress:
    """Put a checkpoint's state into ``network`` and ``optimizer``; return where the run was.

    Everything is checked before anything is replaced.

    Args:
        checkpoint: what was saved.
        network, optimizer: of the same settings, their values arbitrary.
        source: the data that the run would go on with.
        name: of the run, for messages.

    Raises:
        TrainingError: the checkpoint has no training state, or that of another run or other data.
    """
    state: dict[str, Any] = checkpoint.training
    if not state:
        raise TrainingError(f"{name}: can't be resumed: it is a network without a training state, such as best.pt")
    started = state.get("processes", 1)
    if started != processes.current().size:
        raise TrainingError(
            f"{name}: is a run of {short_repr(started)} processes, which {processes.current().size} can't go on with: their batches differ. "
            "Start it with as many (torchrun --nproc-per-node), or start a new run"
        )
    try:
        progress = _progress(state["progress"])
        moments = _moments(state["optimizer"], optimizer)
        other_data = _is_other(state["data"], _data(source))
        network.load_state_dict(checkpoint.weights)
    except (LookupError, TypeError, ValueError, RuntimeError, AttributeError) as problem:
        raise TrainingError(f"{name}: can't be resumed: its training state is damaged or of another run") from problem
    if other_data:
        raise TrainingError(f"{name}: the run was started on other data; a resumed run needs the same images")
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
    return progress


def require_possible(progress: Progress, epochs: int, steps: int, name: str) -> None:
    """Refuse a restored position that the settings don't have.

    Raises:
        TrainingError: it is beyond ``epochs``, or beyond the ``steps`` of one.
    """
    if progress.epoch > epochs or progress.step > steps:
        raise TrainingError(
            f"{name}: is in epoch {progress.epoch + 1} at step {progress.step} already; the settings say "
            f"train.epochs={epochs}, of {steps} steps"
        )


def _data(source: ImageSource) -> dict[str, str]:
    """Which images a run sees: the data set's listing, the records in use, and the images where they have checksums."""
    records = "\n".join(f"{s.path}\t{s.identity}\t{s.camera}\t{s.modality}\t{s.split}" for s in source.samples)
    digest = hashlib.sha256(records.encode(errors="surrogateescape")).hexdigest()
    return {"listing": source.fingerprint, "records": digest, "content": source.content}


def _is_other(before: Mapping[str, str], now: Mapping[str, str]) -> bool:
    """Whether a run's images aren't the ones it started with; a folder read image by image has no digest of them."""
    contents = before["content"], now["content"]
    changed = all(contents) and contents[0] != contents[1]
    return changed or any(before[name] != now[name] for name in ("listing", "records"))


def _progress(values: dict[str, Any]) -> Progress:
    progress = Progress(**values)
    numbers = [progress.best, *progress.sums.values(), *progress.figures.values()]
    if not all(type(count) is int and 0 <= count < 2**31 for count in (progress.epoch, progress.step)):
        raise ValueError("not an epoch or a step")
    if not all(type(number) is float and math.isfinite(number) for number in numbers):
        raise ValueError("not a figure")
    if progress.step and "total" not in progress.sums:
        raise ValueError("steps without their losses")
    return progress


def _moments(values: dict[str, Any], optimizer: torch.optim.Optimizer) -> dict[int, Any]:
    """The optimizer's state by the parameters' numbers, each tensor of its parameter's shape and type, and finite."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    numbers = [number for group in values["param_groups"] for number in group["params"]]
    if numbers != list(range(len(parameters))):
        raise ValueError("other parameters")
    moments: dict[int, Any] = values["state"]
    if moments and moments.keys() != set(numbers):
        raise ValueError("momentum of other parameters")
    for number, kept in moments.items():
        for name, value in kept.items():
            if name != "momentum_buffer" or not fits(value, parameters[number]) or not torch.isfinite(value).all():
                raise ValueError(f"not the momentum of parameter {number}")
    return moments


def require_same_run(before: Mapping[str, Any], now: Config, source: str) -> str:
    """Refuse to go on with settings that would make it another run; return those that changed and don't, as a line.

    Raises:
        TrainingError: naming every setting that differs and matters.
    """
    changed = differences(before, now.values())
    if mattering := _told(d for d in changed if d[0] not in HARMLESS):
        raise TrainingError(
            f"{source}: the run was started with other settings ({mattering}); start a new run for these"
        )
    return _told(changed)


def _told(changed: Iterable[tuple[str, Any, Any]]) -> str:
    return "; ".join(f"{key}: {old} → {new}" for key, old, new in changed)
