"""``--trials all``: one run per trial of RegDB, in the subfolders ``trial-1`` … ``trial-10`` of one folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lba_cli.config import Config, ConfigLayer, write_config
from lba_cli.datasets.open import open_data
from lba_cli.datasets.regdb import TRIALS
from lba_cli.errors import CheckpointError, ConfigError, Interrupted, TrainingError
from lba_cli.model.checkpoint import Checkpoint
from lba_cli.reporting import Listener
from lba_cli.training.loop import train
from lba_cli.training.run_folder import RUNS, TRIAL, RunFolder


def trial_runs(folder: Path) -> dict[int, RunFolder]:
    """Return {trial: run} for all trials in ``folder``, including trials that haven't begun."""
    return {trial: RunFolder(folder / f"{TRIAL}{trial}") for trial in TRIALS}


def complete_trial_runs(folder: Path) -> dict[int, RunFolder]:
    """Return {trial: run} for all trials in ``folder``. Raises CheckpointError if a trial has no checkpoint."""
    runs = trial_runs(folder)
    if missing := [run.path.name for run in runs.values() if not run.last.is_file()]:
        raise CheckpointError(
            f"{folder}: no checkpoint of {', '.join(missing)}: train the missing trials with lba train --trials all "
            f"--resume {folder}"
        )
    return runs


def with_trial(config: Config, trial: int | None) -> Config:
    """Return a copy of ``config`` with ``trial`` as its ``data.trial``."""
    return config.model_copy(update={"data": config.data.model_copy(update={"trial": trial})})


def newest_trials() -> Path:
    """Return the folder of trials that has the newest checkpoint. Raises CheckpointError if no trial has a checkpoint."""
    found = sorted(RUNS.glob(f"*/{TRIAL}*/checkpoints/last.pt"), key=lambda path: path.stat().st_mtime_ns)
    if not found:
        raise CheckpointError(
            f"no folder of trials under {RUNS}/: train the trials with lba train --trials all, or name their folder"
        )
    return found[-1].parents[2]


def shared_config(folder: Path) -> dict[str, Any]:
    """Read the configuration that the trials in ``folder`` were started with; raises CheckpointError if it is missing."""
    path = RunFolder(folder).config
    if not path.is_file():
        raise CheckpointError(f"{folder}: not a folder of trials: it has no {path.name}")
    return ConfigLayer.from_file(path).values


def train_trials(
    folder: Path,
    new_config: Callable[[dict[str, Any]], Config],
    resumed: Callable[[RunFolder, dict[str, Any]], tuple[Config, Checkpoint | None]],
    listener: Listener,
    *,
    resuming: bool,
) -> None:
    """Train one model per trial, one after another. Complete trials are skipped, and incomplete trials are continued.

    Args:
        folder: the folder of the trials.
        new_config: makes the configuration of a new trial from the config keys that differ between trials.
        resumed: reads the configuration and the checkpoint of a trial that has begun, from its run and the same keys.
        listener: receives messages and progress.
        resuming: whether the folder may already contain trials.
    """
    first = new_config({"data.trial": TRIALS[0]})
    open_data(first.data, listener)  # refuses a data set without trials before anything is written
    shared = RunFolder(folder)
    with shared.locked():
        if not resuming:
            _require_new(folder)
            write_config(shared.config, with_trial(first, None))
        try:
            for trial, run in trial_runs(folder).items():
                own = {"data.trial": trial}
                with run.locked():
                    again = run.is_begun
                    config, state = resumed(run, own) if again else (new_config(own), None)
                    _train_trial(trial, run, config, state, listener, again)
        except Interrupted as stop:
            message = f"stopped in {run.path}; continue with: lba train --trials all --resume {folder}"
            raise Interrupted(stop.signal, message) from stop
        finally:
            if not any(folder.glob(f"{TRIAL}*")):
                shared.config.unlink(missing_ok=True)


def _train_trial(
    trial: int, run: RunFolder, config: Config, state: Checkpoint | None, listener: Listener, again: bool
) -> None:
    if config.data.trial != trial:
        raise ConfigError("--trials all sets data.trial for each model, so leave out --set data.trial")
    if state and state.training.get("progress", {}).get("epoch", 0) >= config.train.epochs:
        listener.say(f"{run.path} is already complete")
        return
    listener.say(f"trial {trial} of {TRIALS[-1]}: {run.path}")
    train(config, open_data(config.data, listener), run, listener, state, again=again)


def _require_new(folder: Path) -> None:
    if any(run.path.exists() for run in trial_runs(folder).values()):
        raise TrainingError(
            f"{folder}: already contains trials: continue them with --trials all --resume {folder}, or name another --output"
        )
    RunFolder(folder).require_new()
