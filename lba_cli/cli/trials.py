"""``--trials all``: a model for each split of a data set, in a run's folders ``trial-1`` … ``trial-10``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lba_cli.config import Run
from lba_cli.data.open import open_data
from lba_cli.errors import CheckpointError, ConfigError, Interrupted, TrainingError
from lba_cli.model.checkpoint import Checkpoint
from lba_cli.reporting import Listener
from lba_cli.settings import Layer, write_run
from lba_cli.training.folder import RUNS, TRIAL, RunFolder
from lba_cli.training.loop import train

SPLITS = range(1, 11)
# The settings of one trial, and its state where it goes on with one.
Resume = Callable[[RunFolder, dict[str, Any]], tuple[Run, Checkpoint | None]]


@dataclass(frozen=True)
class TrialRuns:
    """A folder with a run a split."""

    path: Path

    @property
    def config(self) -> Path:
        """The settings that all the trials share."""
        return self.path / "config.yaml"

    def of(self, split: int) -> RunFolder:
        """The run of ``split``."""
        return RunFolder(self.path / f"{TRIAL}{split}")

    def require_new(self) -> None:
        """Refuse a folder that holds something already.

        Raises:
            TrainingError: it does; nothing is overwritten.
        """
        if any(self.of(split).path.exists() for split in SPLITS):
            raise TrainingError(
                f"{self.path}: holds trials already: continue them with --trials all --resume {self.path}, or name another "
                "--output"
            )
        RunFolder(self.path).require_new()

    def require_all(self) -> dict[int, RunFolder]:
        """The runs of all the splits, by split.

        Raises:
            CheckpointError: naming the trials that have no checkpoint.
        """
        runs = {split: self.of(split) for split in SPLITS}
        missing = [run.path.name for run in runs.values() if not run.last.is_file()]
        if missing:
            raise CheckpointError(
                f"{self.path}: {', '.join(missing)} of the trials {TRIAL}{SPLITS[0]} … {TRIAL}{SPLITS[-1]} have no checkpoint: "
                f"train them with lba train --trials all --resume {self.path}"
            )
        return runs


def newest_trials(folder: Path = RUNS) -> TrialRuns:
    """The folder of trials with the newest checkpoint below ``folder``.

    Raises:
        CheckpointError: there is none.
    """
    found = sorted(folder.glob(f"*/{TRIAL}*/checkpoints/last.pt"), key=lambda path: path.stat().st_mtime_ns)
    if not found:
        raise CheckpointError(
            f"no run of all trials under {folder}/: train one with lba train --trials all, or name its folder"
        )
    return TrialRuns(found[-1].parents[2])


def train_trials(
    make: Callable[[dict[str, Any]], Run], resume: Resume, runs: TrialRuns, listener: Listener, *, resuming: bool
) -> None:
    """Train a model for each split, one after another; finished ones are skipped, unfinished ones go on.

    Args:
        make: the configuration of a new trial, given the settings that are the trial's own.
        resume: the same and the state for one that has started.
        runs: where.
        listener: told of the progress.
        resuming: whether the folder may hold trials already.

    Raises:
        DataError: the data set has one split. Interrupted: with how to go on.
    """
    first = make(_own(SPLITS[0]))
    open_data(first.data, listener)  # a data set with one split is refused before anything is written
    with RunFolder(runs.path).locked():
        if not resuming:
            runs.require_new()
            write_run(runs.config, first.model_copy(update={"data": first.data.model_copy(update={"trial": None})}))
        try:
            for split in SPLITS:
                _train_trial(split, make, resume, runs.of(split), listener)
        except Interrupted as stop:
            message = f"stopped in {runs.of(split).path}; go on with: lba train --trials all --resume {runs.path}"
            raise Interrupted(stop.signal, message) from stop
        finally:
            if not any(runs.path.glob(f"{TRIAL}*")):
                runs.config.unlink(missing_ok=True)


def shared_settings(runs: TrialRuns) -> Layer:
    """The settings that all the trials of a folder were started with.

    Raises:
        CheckpointError: the folder holds no trials.
    """
    if not runs.config.is_file():
        raise CheckpointError(f"{runs.path}: not a folder of trials: it has no {runs.config.name}")
    return Layer.from_file(runs.config)


def _train_trial(
    split: int, make: Callable[[dict[str, Any]], Run], resume: Resume, folder: RunFolder, listener: Listener
) -> None:
    with folder.locked():
        started = folder.is_begun
        run, state = resume(folder, _own(split)) if started else (make(_own(split)), None)
        if run.data.trial != split:
            raise ConfigError("--trials all sets data.trial for each model: leave --set data.trial out")
        if state and state.training.get("progress", {}).get("epoch", 0) >= run.train.epochs:
            listener.say(f"{folder.path} is complete already")
            return
        listener.say(f"trial {split} of {SPLITS[-1]}: {folder.path}")
        train(run, open_data(run.data, listener), folder, listener, state, again=started)


def _own(split: int) -> dict[str, Any]:
    return {"data.trial": split}
