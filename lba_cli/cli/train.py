"""``lba train``: train a network into a run folder, or go on with one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lba_cli.cli.boundary import shared
from lba_cli.cli.deferred import commands
from lba_cli.cli.options import AllTrials, Assignments, ConfigFile, DataFolder, Debug, examples, load_config
from lba_cli.vocabulary import Method

if TYPE_CHECKING:
    from lba_cli.config import Run
    from lba_cli.model.checkpoint import Checkpoint
    from lba_cli.reporting import Listener
    from lba_cli.training.folder import RunFolder

app = commands()
EXAMPLES = examples(
    "lba train --method full",
    "lba train --config configs/sysu.yaml --data /fast/sysu --output runs/paper",
    "lba train --set train.epochs=40 --set model.backbone=resnet18",
    "lba train --resume latest",
    "lba train --config configs/regdb.yaml --trials all --output runs/regdb",
    "torchrun --standalone --nproc-per-node=4 -m lba_cli train --output runs/on-four-gpus",
)


@app.command(epilog=EXAMPLES)
@shared
def train(
    method: Annotated[
        Method | None,
        typer.Option(
            help="baseline: identity + triplet; full: with dense alignment [train.method].", show_default=False
        ),
    ] = None,
    data: DataFolder = None,
    output: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="The run's folder; default: runs/DATE-METHOD.", show_default=False),
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(metavar="RUN|latest", help="Go on with a run where it stopped.", show_default=False),
    ] = None,
    trials: AllTrials = None,
    config: ConfigFile = None,
    assignments: Assignments = None,
    debug: Debug = False,
) -> None:
    """Train a network: the paper's recipe by default. Ctrl-C saves the state; --resume goes on from it.

    Under torchrun every process draws a batch of its own and gradients are averaged; the learning rate stays as it is set. With
    --max-restarts the run goes on from its newest checkpoint when a process was lost.
    """
    from lba_cli.cli.console import listener
    from lba_cli.cli.console import output as out
    from lba_cli.data.open import open_data
    from lba_cli.processes import run_on_writer
    from lba_cli.training.loop import train as run_training

    told = listener()
    options = {"train.method": method, "data.root": data and str(data)}
    if trials:
        _train_trials(output, resume, config, assignments, options, told)
        return

    def begin() -> tuple[RunFolder, Run, Checkpoint | None, bool]:
        folder, run = _choose(output, resume, lambda: load_config(config, assignments, options, told))
        locks.enter_context(folder.locked())
        if run:
            folder.require_new()  # another process may have begun, and ended, since it was chosen
            return folder, run, None, False
        return folder, *_resumed(folder, config, assignments, options, told), True

    with ExitStack() as locks:
        folder, run, state, again = run_on_writer(begin)
        source = open_data(run.data, told)
        told.say(f"run: {folder.path} ({run.train.method}, {run.model.backbone}, {run.train.epochs} epochs)")
        progress = run_training(run, source, folder, told, state, again=again)
    best = f", best mAP {progress.best:.2%}" if progress.best >= 0 else ""
    out().print(
        f"{folder.path} is complete{best}. Next: lba evaluate --checkpoint {folder.best}", markup=False, soft_wrap=True
    )


def _choose(output: Path | None, resume: str | None, settings: Callable[[], Run]) -> tuple[RunFolder, Run | None]:
    """The folder, and the settings of a new run in it; None where it holds a run to go on with."""
    from lba_cli.processes import remember_run, remembered_run
    from lba_cli.training.folder import RunFolder

    if known := remembered_run():  # torchrun has started this job again
        folder = RunFolder(Path(known))
        return folder, None if resume or folder.is_begun else settings()
    run = None if resume else settings()
    folder = _new_folder(output, run) if run else _folder_to_resume(str(resume), output)
    remember_run(str(folder.path.absolute()))
    return folder, run


def _new_folder(output: Path | None, run: Run) -> RunFolder:
    from lba_cli.training.folder import RunFolder

    folder = RunFolder(output or _dated(run.train.method))
    folder.require_new()
    return folder


def _folder_to_resume(name: str, output: Path | None) -> RunFolder:
    from lba_cli.errors import TrainingError
    from lba_cli.training.folder import RunFolder, newest_run

    folder = newest_run() if name == "latest" else RunFolder(Path(name))
    if not folder.path.is_dir():
        raise TrainingError(f"--resume {name}: no such folder")
    if output and output.resolve() != folder.path.resolve():
        raise TrainingError(f"--output {output}: a resumed run stays in its folder, {folder.path}; leave --output out")
    return folder


def _dated(name: str) -> Path:
    from lba_cli.training.folder import RUNS

    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    return RUNS / f"{stamp}-{name}"


def _train_trials(
    output: Path | None,
    resume: str | None,
    config: Path | None,
    assignments: list[str] | None,
    options: dict[str, Any],
    told: Listener,
) -> None:
    """Train a model for each split, or go on with those of a folder."""
    from lba_cli.errors import ConfigError
    from lba_cli.processes import torchrun_world

    if torchrun_world().by_torchrun:
        raise ConfigError(
            "--trials all trains in one process; under torchrun train the splits one by one, --set data.trial=1"
        )
    from lba_cli.cli.console import output as out
    from lba_cli.cli.trials import TrialRuns, newest_trials, shared_settings, train_trials

    if resume:
        runs = newest_trials() if resume == "latest" else TrialRuns(Path(resume))
        base = shared_settings(runs).values
    else:
        runs, base = TrialRuns(output or _dated("trials")), {}

    def make(own: dict[str, Any]) -> Run:
        return load_config(config, assignments, {**options, **own}, told, base=base)

    def go_on(folder: RunFolder, own: dict[str, Any]) -> tuple[Run, Checkpoint | None]:
        return _resumed(folder, config, assignments, {**options, **own}, told)

    train_trials(make, go_on, runs, told, resuming=bool(resume))
    out().print(
        f"{runs.path} is complete. Next: lba evaluate --trials all --checkpoint {runs.path}",
        markup=False,
        soft_wrap=True,
    )


def _resumed(
    folder: RunFolder,
    config: Path | None,
    assignments: list[str] | None,
    options: dict[str, Any],
    told: Listener,
) -> tuple[Run, Checkpoint | None]:
    """A run to go on with: its settings (changed only where that can't matter), and its state if it has one."""
    from lba_cli.settings import Layer, resolve
    from lba_cli.training.state import require_same_run, settle

    state = folder.newest_state(told)
    kept = folder.config.is_file()  # it is newer than the checkpoint where a resumed run was ended before its next one
    base = Layer.from_file(folder.config) if kept or not state else Layer(state.description.config, str(folder.last))
    started = resolve([Layer(state.description.config, str(folder.last)) if state else base])
    layers = [base, *([Layer.from_file(config)] if config else [])]
    asked = resolve([*layers, Layer.from_options(options), Layer.from_assignments(assignments or [])])
    run, before = settle(asked, asked.data.dataset), settle(started, started.data.dataset)
    changed = require_same_run(before.values(), run, str(folder.path))
    if changed:
        told.say(f"changed settings: {changed}")
    if state:
        told.say(f"resuming {folder.path} after epoch {state.description.epoch + 1}")
    else:
        told.say(f"{folder.path} was ended before its first checkpoint; beginning again")
    return run, state
