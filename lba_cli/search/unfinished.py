"""The state of an embedding under way: a hidden folder beside its output, from which the same command goes on.

``plan.json`` says of what (a fingerprint of the model and of the images), ``vectors.f32`` has the vectors so far, and
``done.jsonl`` a line a batch with their checksum, added when the batch's vectors are on the disk. What a killed process
wrote after the last whole line is cut off.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any
from zlib import crc32

from lba_cli.files import append_line, read_text, sweep, write_text
from lba_cli.search.embed_paths import Batch, Broken
from lba_cli.search.embedder import Embedder
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
        content = batch.vectors.astype("<f4").tobytes()
        with self.vectors.open("ab") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        done, rows = batch.stop, self.rows + len(batch.places)
        line = {"done": done, "rows": rows, "broken": batch.broken, "crc32": crc32(content)}
        append_line(self.path / DONE, json.dumps(line))
        self.done, self.rows = done, rows
        self.broken += batch.broken

    def discard(self) -> None:
        """Remove the state; nothing but its own files is touched."""
        for name in (PLAN, VECTORS, DONE):
            (self.path / name).unlink(missing_ok=True)
        sweep(self.path / PLAN)
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
            with (self.path / DONE).open("rb") as lines, self.vectors.open("rb") as vectors:
                while (line := lines.readline(LONGEST_LINE)).endswith(b"\n"):
                    if not self._take(json.loads(line), vectors):
                        return False
                    end += len(line)
            os.truncate(self.path / DONE, end)
            os.truncate(self.vectors, self.rows * self._row_bytes)
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return False
        return True

    def _take(self, line: dict[str, Any], vectors: IO[bytes]) -> bool:
        """Take up a batch; whether its line fits the ones before it, and its vectors are as they were written."""
        broken = [Broken(int(place), str(reason)) for place, reason in line["broken"]]
        begin, (done, rows) = self.done, (int(line["done"]), int(line["rows"]) - self.rows)
        sound = rows >= 0 and begin < done == begin + rows + len(broken) and done <= self._images
        if not sound or not all(begin <= each.place < done for each in broken):
            return False
        self.done, self.rows, self.broken = done, self.rows + rows, self.broken + broken
        return bool(crc32(vectors.read(rows * self._row_bytes)) == line["crc32"])
