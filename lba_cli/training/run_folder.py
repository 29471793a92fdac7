"""The folder of a run: ``config.yaml``, ``metrics.jsonl``, ``timings.jsonl``, ``checkpoints/{last,previous,best}.pt``."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lba_cli.config import Config, write_config
from lba_cli.errors import CheckpointError, LbaError, TrainingError
from lba_cli.files import append_line, read_text, sweep, whole_file, write_text
from lba_cli.locks import exclusive, is_lock_file
from lba_cli.model.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from lba_cli.outputs import require_empty_folder
from lba_cli.reporting import Listener

RUNS = Path("runs")
LOCK = ".lock"
TRIAL, SEED = "trial-", "seed-"  # begin the names of runs in a folder of trials or of seeds; a number follows
MAX_METRICS_BYTES = 2**30


class RunFolder:
    """The folder of a run.

    Attributes:
        path: the folder.
        config: the resolved configuration, which reproduces the run.
        metrics: one JSON object per epoch, each on a line.
        timings: the time that each epoch took, one JSON object per line. Repeating a run changes only its timings.
        last: the newest checkpoint, from which the run can be resumed.
        previous: the checkpoint before ``last.pt``, in case ``last.pt`` is damaged.
        best: the network with the best mAP, without a training state.
    """

    def __init__(self, path: Path) -> None:
        self.path, checkpoints = path, path / "checkpoints"
        self.config, self.metrics, self.timings = path / "config.yaml", path / "metrics.jsonl", path / "timings.jsonl"
        self.last, self.previous, self.best = (checkpoints / f"{name}.pt" for name in ("last", "previous", "best"))

    @property
    def is_trial(self) -> bool:
        """Whether the run is that of one trial, in a folder of trials."""
        return self.path.name.startswith(TRIAL)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder's lock for the ``with`` block, so that no other process can train into the folder.

        If the folder was made for the lock and is empty at the end, it is removed.

        Raises:
            LbaError: another process is training into the folder.
        """
        existed = self.path.exists()
        try:
            with exclusive(self.path / LOCK, f"training into {self.path}"):
                yield
        finally:
            if not existed:
                with suppress(OSError):
                    self.path.rmdir()

    @property
    def is_begun(self) -> bool:
        """Whether the folder holds a run, which may not have a checkpoint yet."""
        return self.config.exists() or self.last.exists()

    def require_new(self) -> None:
        """Raise an LbaError if the folder isn't empty, so that nothing is overwritten."""
        sweep(self.config)
        if self.is_begun:
            raise TrainingError(
                f"{self.path}: holds a run already: continue it with --resume {self.path}, or name another --output"
            )
        require_empty_folder(self.path, ignoring=lambda path: is_lock_file(path, self.path / LOCK))

    @contextmanager
    def claimed(self, config: Config) -> Iterator[None]:
        """Write ``config.yaml`` into the new folder, and remove it again if the block writes nothing else there.

        Raises:
            LbaError: the folder isn't empty; it is a TrainingError if it holds a run.
        """
        self.require_new()
        write_config(self.config, config)
        try:
            yield
        finally:
            if not any(path.exists() for path in (self.last, self.best, self.metrics)):
                self.config.unlink(missing_ok=True)
                for folder in (self.last.parent, self.path):
                    with suppress(OSError):
                        folder.rmdir()

    def newest_checkpoint(self, listener: Listener) -> Checkpoint | None:
        """Read the newest checkpoint that isn't damaged; None if the run ended before its first checkpoint.

        If ``last.pt`` is damaged, it is renamed to ``last-damaged.pt``, so that it doesn't become ``previous.pt`` later.

        Raises:
            TrainingError: the folder holds no run, or a run whose checkpoints are gone.
            CheckpointError: all checkpoints are damaged.
        """
        problems: list[CheckpointError] = []
        for path in (self.last, self.previous):
            if not path.exists():
                continue
            try:
                checkpoint = read_checkpoint(path)
            except CheckpointError as problem:
                problems.append(problem)
                continue
            for damaged in problems:
                listener.warn(f"{damaged}; continuing from {path}, the checkpoint before it")
                self.last.replace(self.last.with_name("last-damaged.pt"))
            return checkpoint
        if problems:
            raise problems[0]
        if not self.config.is_file():
            raise TrainingError(f"{self.path}: holds no run that could be resumed; start one with --output {self.path}")
        if self.metrics.exists() and len(self.records()) > 1:
            raise TrainingError(
                f"{self.path}: its checkpoints are gone, although more than one epoch is complete; put {self.last.name} or "
                "previous.pt back, or start a new run with another --output"
            )
        return None

    def write_last(self, checkpoint: Checkpoint) -> None:
        """Write ``checkpoint`` as ``last.pt``; the old one becomes ``previous.pt``. One of the two is always undamaged."""
        if self.last.exists():
            with whole_file(self.previous) as partial:
                try:
                    partial.hardlink_to(self.last)
                except OSError:  # a file system without hard links
                    shutil.copyfile(self.last, partial)
        write_checkpoint(self.last, checkpoint)

    def records(self) -> list[dict[str, Any]]:
        """Return the lines of ``metrics.jsonl``, without an incomplete last line, which a killed run may leave.

        Raises:
            LbaError: the file is missing, or a line isn't JSON.
        """
        try:
            text = read_text(self.metrics, MAX_METRICS_BYTES)
        except (OSError, UnicodeDecodeError) as problem:
            reason = getattr(problem, "strerror", None) or "not a text file"
            raise LbaError(f"{self.metrics}: {reason}; is {self.path} a run folder?") from problem
        lines = text[: text.rfind("\n") + 1].splitlines()
        return [self._record(number, line) for number, line in enumerate(lines, start=1)]

    def _record(self, number: int, line: str) -> dict[str, Any]:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as problem:
            raise LbaError(f"{self.metrics}:{number}: not JSON") from problem
        if not isinstance(record, dict) or "epoch" not in record:
            raise LbaError(f"{self.metrics}:{number}: not the record of an epoch")
        return record

    def append(self, record: dict[str, Any]) -> None:
        """Add a line to ``metrics.jsonl``."""
        append_line(self.metrics, json.dumps(record))

    def append_timing(self, timing: dict[str, Any]) -> None:
        """Add a line to ``timings.jsonl``."""
        append_line(self.timings, json.dumps(timing))

    def prepare_resume(self, config: Config, epoch: int, best: float, listener: Listener) -> float:
        """Prepare the folder for a run that continues with ``epoch``: remove the metrics of this and later epochs.

        Returns:
            ``best``, the highest mAP so far, or -1 if the ``best.pt`` with this mAP is missing.

        Raises:
            LbaError: lines of earlier epochs are missing or damaged.
        """
        if best >= 0 and not self.best.is_file():
            listener.warn(f"{self.best} is missing: the best network of the remaining epochs will be saved there")
            best = -1.0
        kept = self.records()[:epoch] if self.metrics.exists() or epoch else []
        if [record["epoch"] for record in kept] != list(range(epoch)):
            raise LbaError(
                f"{self.metrics}: doesn't have a line for each epoch before epoch {epoch} (counted from 0); restore the original "
                "file, or start a new run"
            )
        if self.metrics.exists():
            lines = self.metrics.read_text(encoding="utf-8").splitlines(keepends=True)
            write_text(self.metrics, "".join(lines[:epoch]))
        write_config(self.config, config)
        return best


def checkpoint_in(path: Path, *, best: bool = False) -> Path:
    """Return the checkpoint that ``path`` names: the file itself, or the ``last.pt`` or ``best.pt`` of a run folder.

    Raises:
        CheckpointError: the folder holds no run, or no such checkpoint; or ``best`` is set, but ``path`` isn't a folder.
    """
    run = RunFolder(path)
    if not path.is_dir():
        if best:
            raise CheckpointError(
                f"{path}: not a folder, but --best selects best.pt in a run folder: name a run folder, or leave out --best"
            )
        return path
    if not run.last.is_file() and (runs := series_runs(path)):
        kind, words = ("trials", "--trials all --checkpoint ") if runs[0].is_trial else ("seeds", "")
        raise CheckpointError(
            f"{path}: a folder of {kind}, each with a run of its own: name one, such as {runs[0].path}, or score "
            f"all of them together with lba evaluate {words}{path}"
        )
    if not run.last.is_file():
        raise CheckpointError(
            f"{path}: not a run folder: it has no {run.last.relative_to(path)}; name a run folder or a checkpoint file"
        )
    if best and not run.best.is_file():
        raise CheckpointError(
            f"{run.best}: no such file; it is written at the run's first evaluation. Without --best, last.pt is used"
        )
    return run.best if best else run.last


def series_runs(path: Path) -> list[RunFolder]:
    """Return the runs of a folder of trials or seeds in the order of their numbers; an empty list for any other folder."""
    for prefix in (TRIAL, SEED):
        numbered = [(p.name.removeprefix(prefix), p) for p in path.glob(f"{prefix}*") if p.is_dir()]
        if runs := sorted((int(number), p) for number, p in numbered if number.isdecimal()):
            return [RunFolder(p) for _, p in runs]
    return []


def runs_by_age(folder: Path = RUNS) -> Iterator[RunFolder]:
    """Yield the runs below ``folder`` that have a checkpoint, also those of trials and seeds, newest first."""
    runs = [run for path in folder.glob("*") for run in (RunFolder(path), *series_runs(path))]
    yield from sorted((r for r in runs if r.last.is_file()), key=lambda r: r.last.stat().st_mtime_ns, reverse=True)


def newest_run(folder: Path = RUNS) -> RunFolder:
    """Return the run with the newest checkpoint; raise a CheckpointError if there is no run."""
    if run := next(runs_by_age(folder), None):
        return run
    raise CheckpointError(f"no run under {folder}/: train one with lba train, or name a file with --checkpoint")
