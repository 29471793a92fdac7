"""``lba train``: train a network, or continue a run."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lba_cli.cli.options import AllTrials, CommonOptions, DataFolder, command, group

if TYPE_CHECKING:
    from lba_cli.config import Config
    from lba_cli.model.checkpoint import Checkpoint
    from lba_cli.training.run_folder import RunFolder

app = group()
EXAMPLES = (
    "lba train --method full",
    "lba train --config configs/sysu.yaml --data /fast/sysu --output runs/paper",
    "lba train --set train.epochs=40 --set model.backbone=resnet18",
    "lba train --set loss.dense_triplet=0",
    "lba train --resume latest",
    "lba train --config configs/regdb.yaml --trials all --output runs/regdb",
    "lba train --method full --seeds 0 1 2 --output runs/full",
    "torchrun --standalone --nproc-per-node=4 -m lba_cli train --output runs/on-four-gpus",
)


@command(app, *EXAMPLES, distributed=True)
def train(
    common: CommonOptions,
    method: Annotated[
        str | None,
        typer.Option(
            metavar="baseline|full|agw|caj|…",
            help="baseline: identity and hard triplet losses; full: the paper's method; agw and caj: two other methods, see docs/methods.md [train.method].",
        ),
    ] = None,
    data: DataFolder = None,
    output: Annotated[
        Path | None, typer.Option(metavar="RUN", help="The folder of the new run. Default: runs/DATE-METHOD.")
    ] = None,
    resume: Annotated[
        str | None, typer.Option(metavar="RUN|latest", help="Continue this run, or the latest one, where it stopped.")
    ] = None,
    trials: AllTrials = None,
    seeds: Annotated[
        list[int] | None,
        typer.Option(
            metavar="SEED…",
            min=0,
            help="Train a run for each of these seeds, in RUN/seed-0, RUN/seed-1, … [train.seed].",
        ),
    ] = None,
    more_seeds: Annotated[list[int] | None, typer.Argument(hidden=True, metavar="SEED", min=0)] = None,
) -> None:
    """Train a network. Ctrl-C saves the state, and --resume continues from it.

    The defaults are the paper's recipe. Under torchrun every process draws a batch of its own, and the gradients are
    averaged; the learning rate is not scaled. With torchrun's --max-restarts, the run continues from its newest checkpoint
    after a process has failed.
    """
    from lba_cli.cli.console import print_line

    request = TrainRequest(output, resume, common, {"train.method": method, "data.root": data and str(data)})
    if trials or seeds or more_seeds:
        path = _train_series(request, _chosen_seeds(seeds, more_seeds, trials))
        words = "--trials all --checkpoint " if trials else ""
        print_line(f"{path} is complete. Next: lba evaluate {words}{path}")
        return
    folder, best_map = _train_run(request)
    best = f", best mAP {best_map:.2%}" if best_map >= 0 else ""
    print_line(f"{folder.path} is complete{best}. Next: lba evaluate --checkpoint {folder.path}")


@dataclass(frozen=True)
class TrainRequest:
    """The options of ``lba train``. ``options`` holds the values of the options that are config keys."""

    output: Path | None
    resume: str | None
    common: CommonOptions
    options: Mapping[str, Any]

    def new_config(self, own: Mapping[str, Any] | None = None, base: Mapping[str, Any] | None = None) -> Config:
        """Resolve the configuration of a new run; ``own`` holds a trial's or seed's config keys, ``base`` replaces the defaults."""
        return self.common.load({**self.options, **(own or {})}, base=base)

    def resumed(self, folder: RunFolder, own: Mapping[str, Any] | None = None) -> tuple[Config, Checkpoint | None]:
        """Return the configuration of the run in ``folder``, and its newest checkpoint; None if it has no checkpoint.

        ``own`` holds the config keys of one trial.
        """
        from lba_cli.config import ConfigLayer, resolve_config
        from lba_cli.training.state import require_same_run, resolve_auto

        listener = self.common.listener
        state = folder.newest_checkpoint(listener)
        saved = ConfigLayer(state.description.config, str(folder.last)) if state else None
        # The config file is newer than the checkpoint if a resumed run was stopped before its first checkpoint.
        base = ConfigLayer.from_file(folder.config) if folder.config.is_file() or not saved else saved
        started = resolve_config([saved or base])
        asked = resolve_config([base, *self.common.layers({**self.options, **(own or {})})])
        config, before = resolve_auto(asked, asked.data.dataset), resolve_auto(started, started.data.dataset)
        changed = require_same_run(before.values(), config, str(folder.path))
        if changed:
            listener.say(f"changed config keys: {changed}")
        if state:
            listener.say(f"resuming {folder.path} after epoch {state.description.epoch + 1}")
        else:
            listener.say(f"{folder.path} was stopped before its first checkpoint and starts again")
        return config, state


def _train_run(request: TrainRequest) -> tuple[RunFolder, float]:
    """Train a run. Return its folder and its best mAP, which is -1 if there was no evaluation."""
    from lba_cli.datasets.open import open_data
    from lba_cli.processes import run_on_writer
    from lba_cli.training.loop import train as run_training

    def begin() -> tuple[RunFolder, Config, Checkpoint | None, bool]:
        folder, config = _choose_folder(request)
        locks.enter_context(folder.locked())
        if config:
            folder.require_new()  # another process may have started a run there meanwhile
            return folder, config, None, False
        return folder, *request.resumed(folder), True

    with ExitStack() as locks:
        folder, config, state, again = run_on_writer(begin)
        source = open_data(config.data, request.common.listener)
        summary = f"{config.train.method}, {config.model.backbone}, {config.train.epochs} epochs"
        request.common.listener.say(f"run: {folder.path} ({summary})")
        progress = run_training(config, source, folder, request.common.listener, state, again=again)
    return folder, progress.best


def _choose_folder(request: TrainRequest) -> tuple[RunFolder, Config | None]:
    """Return the run's folder, and the configuration of a new run, or None if the folder holds a run to continue."""
    from lba_cli.processes import remember_run, remembered_run
    from lba_cli.training.run_folder import RunFolder

    if known := remembered_run():  # torchrun restarted this job
        folder = RunFolder(Path(known))
        return folder, None if request.resume or folder.is_begun else request.new_config()
    if request.resume:
        folder, config = _folder_to_resume(request.resume, request.output), None
    else:
        config = request.new_config()
        folder = RunFolder(request.output or _dated_path(config.train.method))
        folder.require_new()
    remember_run(str(folder.path.absolute()))
    return folder, config


def _folder_to_resume(name: str, output: Path | None) -> RunFolder:
    from lba_cli.errors import TrainingError
    from lba_cli.training.run_folder import RunFolder, newest_run, series_runs

    folder = newest_run() if name == "latest" else RunFolder(Path(name))
    if not folder.path.is_dir():
        raise TrainingError(f"--resume {name}: no such folder")
    if runs := series_runs(folder.path):
        option = "--trials all" if runs[0].is_trial else "--seeds with their seeds"
        raise TrainingError(
            f"--resume {name}: holds {len(runs)} runs: name one, such as {runs[0].path}, or add {option}"
        )
    if output and output.resolve() != folder.path.resolve():
        raise TrainingError(f"--output {output}: a resumed run stays in its folder, {folder.path}: leave out --output")
    return folder


def _dated_path(name: str) -> Path:
    from lba_cli.training.run_folder import RUNS

    return RUNS / f"{datetime.now():%Y%m%d-%H%M%S}-{name}"


def _chosen_seeds(first: list[int] | None, more: list[int] | None, trials: str | None) -> list[int]:
    """Return the seeds of ``--seeds 0 1 2``: Typer gives an option one value, and the other seeds are arguments."""
    from lba_cli.errors import ConfigError

    seeds = [*(first or []), *(more or [])]
    if more and not first:
        raise ConfigError(f"unexpected argument {more[0]}: to give seeds, write --seeds {' '.join(map(str, more))}")
    if seeds and trials:
        raise ConfigError("--trials all and --seeds can't be combined: train the trials with one seed at a time")
    if twice := [seed for seed in dict.fromkeys(seeds) if seeds.count(seed) > 1]:
        raise ConfigError(f"--seeds: the seed {twice[0]} is named twice")
    return seeds


def _train_series(request: TrainRequest, seeds: list[int]) -> Path:
    """Train a run for each seed, or for each trial if there are no seeds, or continue such runs. Return their folder."""
    from lba_cli.cli.run_series import newest_series, seed_series, shared_config, train_series, trial_series
    from lba_cli.errors import ConfigError
    from lba_cli.processes import torchrun_world

    series = seed_series(Path(), seeds) if seeds else trial_series(Path())
    if torchrun_world().by_torchrun:
        raise ConfigError(
            f"{series.option} runs in a single process: under torchrun, train the runs one by one with --set {series.key}=…"
        )
    if request.resume:
        folder = newest_series(series.prefix, series.option) if request.resume == "latest" else Path(request.resume)
        base = shared_config(folder)
    else:
        folder, base = request.output or _dated_path(f"{series.prefix.rstrip('-')}s"), {}
    series = replace(series, folder=folder)
    resuming = bool(request.resume)
    train_series(
        series, lambda own: request.new_config(own, base), request.resumed, request.common.listener, resuming=resuming
    )
    return folder
