"""Series of runs that differ in one config key: ``--trials all`` (RegDB's trials) and ``--seeds``.

Each run is in a subfolder of one folder, such as ``trial-1`` or ``seed-0``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lba_cli.config import Config, ConfigLayer, write_config
from lba_cli.datasets.open import open_data
from lba_cli.datasets.regdb import TRIALS
from lba_cli.errors import CheckpointError, ConfigError, Interrupted, TrainingError
from lba_cli.model.checkpoint import Checkpoint
from lba_cli.reporting import Listener
from lba_cli.training.loop import train
from lba_cli.training.run_folder import RUNS, SEED, TRIAL, RunFolder, runs_by_age, series_runs


@dataclass(frozen=True)
class Series:
    """Runs that differ in one config key.

    Attributes:
        folder: the folder that holds the runs.
        values: the key's value in each run.
        key: the config key.
        prefix: the names of the runs' folders, before the value.
        option: the option of ``lba train`` that trains the series.
        shared_value: the key's value in the configuration that the folder keeps for all runs.
    """

    folder: Path
    values: tuple[int, ...]
    key: str
    prefix: str
    option: str
    shared_value: int | None

    def runs(self) -> dict[int, RunFolder]:
        """Return the runs by the key's value, whether they have begun or not."""
        return {value: RunFolder(self.folder / f"{self.prefix}{value}") for value in self.values}

    def complete_runs(self) -> dict[int, RunFolder]:
        """Return the runs by the key's value; raises CheckpointError if one has no checkpoint."""
        runs = self.runs()
        if missing := [run.path.name for run in runs.values() if not run.last.is_file()]:
            raise CheckpointError(
                f"{self.folder}: no checkpoint of {', '.join(missing)}: train the missing runs with lba train {self.option} "
                f"--resume {self.folder}"
            )
        return runs

    def value_in(self, config: Config) -> object:
        """Return the key's value in a configuration."""
        section, name = self.key.split(".")
        return getattr(getattr(config, section), name)

    def with_value(self, config: Config, value: int | None) -> Config:
        """Return the configuration with another value of the key."""
        section, name = self.key.split(".")
        changed = getattr(config, section).model_copy(update={name: value})
        return config.model_copy(update={section: changed})


def trial_series(folder: Path) -> Series:
    """Return the series of RegDB's ten trials in ``folder``."""
    return Series(folder, tuple(TRIALS), "data.trial", TRIAL, "--trials all", None)


def seed_series(folder: Path, seeds: Sequence[int] | None = None) -> Series:
    """Return the series of the runs with these seeds in ``folder``. Default: the seeds of its subfolders."""
    if seeds is None:
        seeds = [int(run.path.name.removeprefix(SEED)) for run in series_runs(folder) if not run.is_trial]
    option = f"--seeds {' '.join(map(str, seeds))}"
    return Series(folder, tuple(seeds), "train.seed", SEED, option, next(iter(seeds), None))


def newest_series(prefix: str, option: str) -> Path:
    """Return the folder of runs called ``prefix``… that has the newest checkpoint; raises CheckpointError if there is none."""
    runs = (run for run in runs_by_age() if run.path.parent != RUNS and run.path.name.startswith(prefix))
    newest = next(runs, None)
    if not newest:
        raise CheckpointError(
            f"{RUNS}/ has no folder with runs called {prefix}…: train them with lba train {option}, or name their folder"
        )
    return newest.path.parent


def shared_config(folder: Path) -> dict[str, Any]:
    """Read the configuration that a series was started with; raises CheckpointError if it is missing."""
    path = RunFolder(folder).config
    if not path.is_file():
        raise CheckpointError(f"{folder}: not a folder of trials or seeds: it has no {path.name}")
    return ConfigLayer.from_file(path).values


def train_series(
    series: Series,
    new_config: Callable[[dict[str, Any]], Config],
    resumed: Callable[[RunFolder, dict[str, Any]], tuple[Config, Checkpoint | None]],
    listener: Listener,
    *,
    resuming: bool,
) -> None:
    """Train the runs of a series, one after another. Complete runs are skipped, and incomplete runs are continued.

    Args:
        series: the runs.
        new_config: makes the configuration of a new run from the value of the series' key.
        resumed: reads the configuration and the checkpoint of a run that has begun, from the run and the same value.
        listener: receives messages and progress.
        resuming: whether the folder may already contain runs of the series.
    """
    first = new_config({series.key: series.values[0]})
    open_data(first.data, listener)  # refuses a data set without trials before anything is written
    shared = RunFolder(series.folder)
    with shared.locked():
        if not resuming:
            _require_new(series)
            write_config(shared.config, series.with_value(first, series.shared_value))
        try:
            for value, run in series.runs().items():
                own = {series.key: value}
                with run.locked():
                    again = run.is_begun
                    config, state = resumed(run, own) if again else (new_config(own), None)
                    _train_run(series, value, config, state, listener)
        except Interrupted as stop:
            message = f"stopped in {run.path}; continue with: lba train {series.option} --resume {series.folder}"
            raise Interrupted(stop.signal, message) from stop
        finally:
            if not any(series.folder.glob(f"{series.prefix}*")):
                shared.config.unlink(missing_ok=True)


def _train_run(series: Series, value: int, config: Config, state: Checkpoint | None, listener: Listener) -> None:
    run = series.runs()[value]
    if series.value_in(config) != value:
        raise ConfigError(f"{series.option} sets {series.key} for each model, so leave out --set {series.key}")
    if state and state.training.get("progress", {}).get("epoch", 0) >= config.train.epochs:
        listener.say(f"{run.path} is already complete")
        return
    name = series.prefix.rstrip("-")
    listener.say(f"{name} {value}, {series.values.index(value) + 1} of {len(series.values)}: {run.path}")
    train(config, open_data(config.data, listener), run, listener, state, again=run.is_begun)


def _require_new(series: Series) -> None:
    if any(run.path.exists() for run in series.runs().values()):
        raise TrainingError(
            f"{series.folder}: already contains such runs: continue them with {series.option} --resume {series.folder}, or name "
            "another --output"
        )
    RunFolder(series.folder).require_new()
