"""A run's folder: ``config.yaml``, ``metrics.jsonl``, ``checkpoints/last.pt`` and ``checkpoints/best.pt``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lba_cli.config import Run
from lba_cli.errors import CheckpointError, LbaError, TrainingError
from lba_cli.files import write_text
from lba_cli.settings import write_run

RUNS = Path("runs")


@dataclass(frozen=True)
class RunFolder:
    """The places of a run's files."""

    path: Path

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
    def best(self) -> Path:
        """The network at its best mAP."""
        return self.path / "checkpoints" / "best.pt"

    def require_new(self) -> None:
        """Refuse a folder that holds something already.

        Raises:
            TrainingError: it does; nothing is overwritten.
        """
        if self.last.exists():
            raise TrainingError(
                f"{self.path}: holds a run already: continue it with --resume {self.path}, or name another --output"
            )
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            raise TrainingError(f"{self.path}: exists and isn't an empty folder; name another --output")

    @contextmanager
    def claimed(self, run: Run) -> Iterator[None]:
        """Make the folder this run's by its ``config.yaml``; if the run ends without a checkpoint, take it back.

        Raises:
            TrainingError: the folder holds something, or another process has just claimed it.
        """
        self.require_new()
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            self.config.open("x").close()
        except FileExistsError:
            raise TrainingError(f"{self.path}: another run has just started there; name another --output") from None
        write_run(self.config, run)
        try:
            yield
        finally:
            if not self.last.exists():
                self.config.unlink(missing_ok=True)
                with suppress(OSError):
                    self.path.rmdir()

    def records(self) -> list[dict[str, Any]]:
        """The lines of ``metrics.jsonl``.

        Raises:
            LbaError: the file is missing, or a line isn't JSON.
        """
        try:
            lines = self.metrics.read_text(encoding="utf-8").splitlines()
        except OSError as problem:
            raise LbaError(f"{self.metrics}: {problem.strerror}; is {self.path} a run's folder?") from problem
        return [self._record(number, line) for number, line in enumerate(lines, start=1)]

    def _record(self, number: int, line: str) -> dict[str, Any]:
        try:
            record = json.loads(line)
        except ValueError as problem:
            raise LbaError(f"{self.metrics}:{number}: not JSON") from problem
        if not isinstance(record, dict) or "epoch" not in record:
            raise LbaError(f"{self.metrics}:{number}: not the record of an epoch")
        return record

    def append(self, record: dict[str, Any]) -> None:
        """Add a line to ``metrics.jsonl``."""
        with self.metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def keep_records_before(self, epoch: int) -> None:
        """Drop the lines of ``epoch`` and later ones, which a resumed run writes again."""
        if self.metrics.exists():
            lines = self.metrics.read_text(encoding="utf-8").splitlines(keepends=True)
            write_text(self.metrics, "".join(lines[:epoch]))


def runs_by_age(folder: Path = RUNS) -> Iterator[RunFolder]:
    """The runs below ``folder``, the newest checkpoint first."""
    runs = [RunFolder(path) for path in folder.iterdir()] if folder.is_dir() else []
    yield from sorted((r for r in runs if r.last.is_file()), key=lambda r: r.last.stat().st_mtime_ns, reverse=True)


def newest_run(folder: Path = RUNS) -> RunFolder:
    """The run with the newest checkpoint.

    Raises:
        CheckpointError: there is none.
    """
    for run in runs_by_age(folder):
        return run
    raise CheckpointError(f"no run under {folder}/: train one with lba train, or name a file with --checkpoint")
