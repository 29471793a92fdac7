"""``--trials all``: one run per trial of RegDB, in the subfolders ``trial-1`` … ``trial-10``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lba_cli.config import Config, ConfigLayer, write_config
from lba_cli.datasets.open import open_data
from lba_cli.errors import CheckpointError, ConfigError, Interrupted, TrainingError
from lba_cli.model.checkpoint import Checkpoint
from lba_cli.reporting import Listener
from lba_cli.training.loop import train
from lba_cli.training.run_folder import RUNS, TRIAL, RunFolder

TRIALS = range(1, 11)


@dataclass(frozen=True)
class TrialRuns:
    """A folder that holds one run per trial."""

    path: Path

    @property
    def config(self) -> Path:
        """The file with the configuration that all trials share."""
        return self.path / "config.yaml"

    def run(self, trial: int) -> RunFolder:
        """Return the run of one trial."""
        return RunFolder(self.path / f"{TRIAL}{trial}")

    def require_new(self) -> None:
        """Refuse a folder that isn't empty.

        Raises:
            TrainingError: The folder holds trials or other files.
        """
        if any(self.run(trial).path.exists() for trial in TRIALS):
            raise TrainingError(
                f"{self.path}: holds trials already: continue them with --trials all --resume {self.path}, or name another "
                "--output"
            )
        RunFolder(self.path).require_new()

    def require_all(self) -> dict[int, RunFolder]:
        """Return the runs of all trials.

        Raises:
            CheckpointError: Some trials have no checkpoint; the message names them.
        """
        runs = {trial: self.run(trial) for trial in TRIALS}
        missing = [run.path.name for run in runs.values() if not run.last.is_file()]
        if missing:
            raise CheckpointError(
                f"{self.path}: no checkpoint of {', '.join(missing)}: train the missing trials with lba train --trials all "
                f"--resume {self.path}"
            )
        return runs

    def shared_config(self) -> ConfigLayer:
        """Read the configuration that the trials were started with.

        Raises:
            CheckpointError: The folder holds no trials.
        """
        if not self.config.is_file():
            raise CheckpointError(f"{self.path}: not a folder of trials: it has no {self.config.name}")
        return ConfigLayer.from_file(self.config)


def newest_trials(folder: Path = RUNS) -> TrialRuns:
    """Find the folder of trials with the newest checkpoint.

    Raises:
        CheckpointError: There is none below ``folder``.
    """
    found = sorted(folder.glob(f"*/{TRIAL}*/checkpoints/last.pt"), key=lambda path: path.stat().st_mtime_ns)
    if not found:
        raise CheckpointError(
            f"no folder of trials under {folder}/: train them with lba train --trials all, or name the folder"
        )
    return TrialRuns(found[-1].parents[2])


@dataclass(frozen=True)
class TrialTraining:
    """Trains one model per trial.

    Attributes:
        runs: the folder of the trials.
        new_config: makes the configuration of a new trial from the config keys that differ between trials.
        resumed: reads the configuration and the state of a trial that has begun; takes its run and the same keys.
        listener: receives messages and progress.
    """

    runs: TrialRuns
    new_config: Callable[[dict[str, Any]], Config]
    resumed: Callable[[RunFolder, dict[str, Any]], tuple[Config, Checkpoint | None]]
    listener: Listener

    def train(self, *, resuming: bool) -> None:
        """Train the trials one after another. Complete ones are skipped, and incomplete ones continue.

        Args:
            resuming: whether the folder may hold trials already.

        Raises:
            DataError: The data set has no trials.
            Interrupted: A signal arrived; the message says how to continue.
        """
        first = self.new_config({"data.trial": TRIALS[0]})
        open_data(first.data, self.listener)  # refuses a data set without trials before anything is written
        with RunFolder(self.runs.path).locked():
            if not resuming:
                self.runs.require_new()
                data = first.data.model_copy(update={"trial": None})
                write_config(self.runs.config, first.model_copy(update={"data": data}))
            try:
                for trial in TRIALS:
                    self._train_trial(trial, self.runs.run(trial))
            except Interrupted as stop:
                runs = self.runs
                message = (
                    f"stopped in {runs.run(trial).path}; continue with: lba train --trials all --resume {runs.path}"
                )
                raise Interrupted(stop.signal, message) from stop
            finally:
                if not any(self.runs.path.glob(f"{TRIAL}*")):
                    self.runs.config.unlink(missing_ok=True)

    def _train_trial(self, trial: int, folder: RunFolder) -> None:
        own = {"data.trial": trial}
        with folder.locked():
            started = folder.is_begun
            config, state = self.resumed(folder, own) if started else (self.new_config(own), None)
            if config.data.trial != trial:
                raise ConfigError("--trials all sets data.trial for each model, so leave out --set data.trial")
            if state and state.training.get("progress", {}).get("epoch", 0) >= config.train.epochs:
                self.listener.say(f"{folder.path} is complete already")
                return
            self.listener.say(f"trial {trial} of {TRIALS[-1]}: {folder.path}")
            source = open_data(config.data, self.listener)
            train(config, source, folder, self.listener, state, again=started)
