"""A run's folder: ``config.yaml``, ``metrics.jsonl``, ``timings.jsonl``, ``checkpoints/{last,previous,best}.pt``."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
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
TRIAL = "trial-"  # before the split's number: a run in a folder of trials
MOST_METRICS = 2**30


@dataclass(frozen=True)
class RunFolder:
    """The places of a run's files."""

    path: Path

    @property
    def is_trial(self) -> bool:
        """Whether it is of one split, in a folder of several."""
        return self.path.name.startswith(TRIAL)

    @property
    def config(self) -> Path:
        """The resolved configuration, from which the run can be made again."""
        return self.path / "config.yaml"

    @property
    def metrics(self) -> Path:
        """A JSON object a line, one for every epoch."""
        return self.path / "metrics.jsonl"

    @property
    def last(self) -> Path:
        """The newest checkpoint, with what resuming needs."""
        return self.path / "checkpoints" / "last.pt"

    @property
    def previous(self) -> Path:
        """The checkpoint before the newest one, in case that one is damaged."""
        return self.path / "checkpoints" / "previous.pt"

    @property
    def best(self) -> Path:
        """The network at its best mAP."""
        return self.path / "checkpoints" / "best.pt"

    @property
    def timings(self) -> Path:
        """How long each epoch took: a JSON object a line, apart from the metrics because it differs from run to run."""
        return self.path / "timings.jsonl"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Let no other process train into the folder during the block; a folder made for it and still empty is removed.

        Raises:
            LbaError: another process trains into it.
        """
        there = self.path.exists()
        try:
            with exclusive(self.path / LOCK, f"training into {self.path}"):
                yield
        finally:
            if not there:
                with suppress(OSError):
                    self.path.rmdir()

    @property
    def is_begun(self) -> bool:
        """Whether it holds a run, be it one without a checkpoint so far."""
        return self.config.exists() or self.last.exists()

    def require_new(self) -> None:
        """Refuse a folder that holds something already; nothing is overwritten.

        Raises:
            LbaError: it does.
        """
        sweep(self.config)
        if self.is_begun:
            raise TrainingError(
                f"{self.path}: holds a run already: continue it with --resume {self.path}, or name another --output"
            )
        require_empty_folder(self.path, ignoring=lambda path: is_lock_file(path, self.path / LOCK))

    @contextmanager
    def claimed(self, run: Config) -> Iterator[None]:
        """Make the folder this run's by its ``config.yaml``; if the run ends before it wrote anything, take it back.

        Raises:
            TrainingError: the folder holds something.
        """
        self.require_new()
        write_config(self.config, run)
        try:
            yield
        finally:
            if not any(path.exists() for path in (self.last, self.best, self.metrics)):
                self.config.unlink(missing_ok=True)
                for folder in (self.last.parent, self.path):
                    with suppress(OSError):
                        folder.rmdir()

    def newest_state(self, listener: Listener) -> Checkpoint | None:
        """The newest whole checkpoint; None where the run was ended before its first.

        A damaged ``last.pt`` is set aside as ``last-damaged.pt``, so that it can't take the place of the whole one before it.

        Raises:
            TrainingError: the folder holds no run, or one whose checkpoints are gone. CheckpointError: none is whole.
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
                listener.warn(f"{damaged}; taking {path}, the one before it")
                self.last.replace(self.last.with_name("last-damaged.pt"))
            return checkpoint
        if problems:
            raise problems[0]
        if not self.config.is_file():
            raise TrainingError(f"{self.path}: holds no run that could be resumed; start one with --output {self.path}")
        if self.metrics.exists() and len(self.records()) > 1:
            raise TrainingError(
                f"{self.path}: its checkpoints are gone, of a run that has more than an epoch behind it; put {self.last.name} "
                "or previous.pt back, or start a new run with another --output"
            )
        return None

    def keep(self, checkpoint: Checkpoint) -> None:
        """Make ``checkpoint`` the newest one; the newest so far becomes ``previous.pt``. One of both is always whole."""
        if self.last.exists():
            with whole_file(self.previous) as partial:
                try:
                    partial.hardlink_to(self.last)
                except OSError:  # a file system without hard links
                    shutil.copyfile(self.last, partial)
        write_checkpoint(self.last, checkpoint)

    def records(self) -> list[dict[str, Any]]:
        """The lines of ``metrics.jsonl``; an unfinished last one, which a killed run left, isn't counted.

        Raises:
            LbaError: the file is missing, or a line isn't JSON.
        """
        try:
            text = read_text(self.metrics, MOST_METRICS)
        except (OSError, UnicodeDecodeError) as problem:
            reason = getattr(problem, "strerror", None) or "not a text file"
            raise LbaError(f"{self.metrics}: {reason}; is {self.path} a run's folder?") from problem
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

    def go_on(self, run: Config, epoch: int, best: float, listener: Listener) -> float:
        """Make the folder ready for ``epoch`` and what comes after it.

        Returns:
            ``best``, the highest mAP so far, or -1 where the network that had it is gone.

        Raises:
            LbaError: lines of earlier epochs are missing or damaged.
        """
        if best >= 0 and not self.best.is_file():
            listener.warn(f"{self.best} is missing: the best of the epochs to come will be kept there")
            best = -1.0
        self.keep_records_before(epoch)
        write_config(self.config, run)
        return best

    def keep_records_before(self, epoch: int) -> None:
        """Drop the lines of ``epoch`` and later ones, which a resumed run writes again.

        Raises:
            LbaError: lines of earlier epochs are missing or damaged.
        """
        kept = self.records()[:epoch] if self.metrics.exists() or epoch else []
        if [record["epoch"] for record in kept] != list(range(epoch)):
            raise LbaError(
                f"{self.metrics}: doesn't hold the {epoch} epochs before the checkpoint; put the run's own file back, or "
                "start a new run"
            )
        if self.metrics.exists():
            lines = self.metrics.read_text(encoding="utf-8").splitlines(keepends=True)
            write_text(self.metrics, "".join(lines[:epoch]))


def runs_by_age(folder: Path = RUNS) -> Iterator[RunFolder]:
    """The runs below ``folder`` that have a checkpoint, those in folders of trials too, the newest first."""
    runs = [RunFolder(path) for pattern in ("*", f"*/{TRIAL}*") for path in folder.glob(pattern)]
    yield from sorted((r for r in runs if r.last.is_file()), key=lambda r: r.last.stat().st_mtime_ns, reverse=True)


def newest_run(folder: Path = RUNS) -> RunFolder:
    """The run with the newest checkpoint.

    Raises:
        CheckpointError: there is none.
    """
    for run in runs_by_age(folder):
        return run
    raise CheckpointError(f"no run under {folder}/: train one with lba train, or name a file with --checkpoint")
