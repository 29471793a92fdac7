"""What a run knows at a moment, as a checkpoint: enough to go on as if it had never stopped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from lba_cli.config import Run
from lba_cli.data.store import ImageSource
from lba_cli.errors import TrainingError
from lba_cli.model import TwoStreamNetwork
from lba_cli.model.checkpoint import Checkpoint, Description
from lba_cli.settings import differences

# Settings that may change when a run is resumed: they say where and for how long, not what a step computes.
HARMLESS = {
    "run.device",
    "data.root",
    "data.workers",
    "train.epochs",
    "train.evaluate_every",
    "train.tensorboard",
    "evaluation.mode",
    "evaluation.shots",
    "evaluation.protocol",
    "evaluation.batch_size",
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


def snapshot(
    config: Run,
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
        config=config.values(),
    )
    training = {}
    if optimizer:
        training = {"progress": vars(progress), "optimizer": optimizer.state_dict(), "data": source.fingerprint}
    return Checkpoint(description, network.state_dict(), training)


def restore(
    checkpoint: Checkpoint,
    network: TwoStreamNetwork,
    optimizer: torch.optim.Optimizer,
    fingerprint: str,
    source: str,
) -> Progress:
    """Put a checkpoint's state into ``network`` and ``optimizer``; return where the run was.

    Args:
        checkpoint: what was saved.
        network, optimizer: of the same settings, their values arbitrary.
        fingerprint: of the data that the run would go on with.
        source: the checkpoint's name, for messages.

    Raises:
        TrainingError: the checkpoint has no training state, or that of another run or other data.
    """
    state: dict[str, Any] = checkpoint.training
    try:
        progress = Progress(**state["progress"])
        if state["data"] != fingerprint:
            raise TrainingError(f"{source}: the run was started on other data; a resumed run needs the same images")
        network.load_state_dict(checkpoint.weights)
        optimizer.load_state_dict(state["optimizer"])
    except (KeyError, TypeError, ValueError, RuntimeError) as problem:
        raise TrainingError(f"{source}: can't be resumed: its training state is missing or of another run") from problem
    return progress


def require_same_run(before: Mapping[str, Any], now: Run, source: str) -> None:
    """Refuse to go on with settings that would make it another run.

    Raises:
        TrainingError: naming every setting that differs and matters.
    """
    changed = [d for d in differences(before, now.values()) if d[0] not in HARMLESS]
    if changed:
        told = "; ".join(f"{key}: {old} → {new}" for key, old, new in changed)
        raise TrainingError(f"{source}: the run was started with other settings ({told}); start a new run for these")
