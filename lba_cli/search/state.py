"""The state of an embedding under way: a hidden folder beside its output, from which the same command goes on.

``plan.json`` says of what (a fingerprint of the model and of the images), ``vectors.f32`` has the vectors so far, and
``done.jsonl`` a line a batch, added when the batch's vectors are on the disk. What a killed process wrote after the last
whole line is cut off.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lba_cli.files import append_line, read_text, write_text
from lba_cli.search.embedder import Embedder
from lba_cli.search.embedding import Batch, Broken
from lba_cli.vocabulary import Modality

FORMAT, VERSION = "lba-unfinished-embedding", 1
PLAN, VECTORS, DONE = "plan.json", "vectors.f32", "done.jsonl"
LONGEST_LINE = 2**24


def fingerprint_of(embedder: Embedder, modality: Modality, paths: Sequence[str], batch_size: int) -> str:
    """Of a piece of work: the model, the modality, and the images by their paths, sizes and times of change."""
    digest = hashlib.sha256()
    model = (embedder.fingerprint, embedder.height, embedder.width, embedder.dimension)
    digest.update(json.dumps([FORMAT, VERSION, *model, modality, batch_size]).encode())
    for path in paths:
        try:
            found = Path(path).stat()
            facts = (found.st_size, found.st_mtime_ns)
        except OSError:
            facts = (-1, -1)
        digest.update(json.dumps([path, *facts]).encode())
    return digest.hexdigest()


class Unfinished:
    """The state at ``.NAME.unfinished`` beside ``output``.

    Attributes:
        path: the hidden folder.
        done: how many of the paths are embedded or found broken.
        rows: how many are embedded.
        broken: the others.
    """

    def __init__(self, output: Path, dimension: int, images: int) -> None:
        output = output.absolute()
        self.path = output.with_name(f".{output.name}.unfinished")
        self._row_bytes, self._images = 4 * dimension, images
        self.done, self.rows = 0, 0
        self.broken: list[Broken] = []

    @property
    def vectors(self) -> Path:
        """The file of the vectors."""
        return self.path / VECTORS

    def begin(self, fingerprint: str) -> bool:
        """Go on with what is there of the same work, or begin with nothing; whether other work's state was thrown away."""
        plan = {"format": FORMAT, "version": VERSION, "fingerprint": fingerprint}
        other = False
        if self.path.exists() and not (self._has(plan) and self._read()):
            other = (self.path / DONE).exists() and (self.path / DONE).stat().st_size > 0
            self.discard()
            self.done, self.rows, self.broken = 0, 0, []
        if not (self.path / PLAN).exists():
            self.path.mkdir(parents=True, exist_ok=True)
            self.vectors.touch()
            (self.path / DONE).touch()
            write_text(self.path / PLAN, json.dumps(plan))
        return other

    def add(self, batch: Batch) -> None:
        """Keep a batch; it is on the disk when this returns."""
        with self.vectors.open("ab") as file:
            file.write(batch.vectors.astype("<f4").data)
            file.flush()
            os.fsync(file.fileno())
        done, rows = batch.stop, self.rows + len(batch.places)
        append_line(self.path / DONE, json.dumps({"done": done, "rows": rows, "broken": batch.broken}))
        self.done, self.rows = done, rows
        self.broken += batch.broken

    def discard(self) -> None:
        """Remove the state; nothing but its own files is touched."""
        for name in (PLAN, VECTORS, DONE):
            (self.path / name).unlink(missing_ok=True)
        for left in self.path.glob(f".{PLAN}.*.partial*"):
            left.unlink(missing_ok=True)
        self.path.rmdir()

    def _has(self, plan: dict[str, Any]) -> bool:
        try:
            return bool(json.loads(read_text(self.path / PLAN)) == plan)
        except (OSError, ValueError, RecursionError):
            return False

    def _read(self) -> bool:
        """Take up the last whole batch, and cut off what came after it; whether the files fit each other."""
        end = 0
        try:
            with (self.path / DONE).open("rb") as file:
                while (line := file.readline(LONGEST_LINE)).endswith(b"\n"):
                    content = json.loads(line)
                    self.done, self.rows = int(content["done"]), int(content["rows"])
                    self.broken += [Broken(int(place), str(reason)) for place, reason in content["broken"]]
                    end += len(line)
            sound = 0 <= self.rows <= self.done <= self._images and all(
                0 <= b.place < self._images for b in self.broken
            )
            if not sound or self.vectors.stat().st_size < self.rows * self._row_bytes:
                return False
            os.truncate(self.path / DONE, end)
            os.truncate(self.vectors, self.rows * self._row_bytes)
        except (OSError, ValueError, KeyError, TypeError):
            return False
        return True
