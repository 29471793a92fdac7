"""The vectors computed so far, kept in a hidden folder beside the output, so that embedding can continue after a stop.

- ``plan.json`` has a fingerprint of the model and of the images.
- ``vectors.f32`` has the vectors so far, as raw little-endian float32.
- ``done.jsonl`` gets a line for each batch, with a checksum, once the batch's vectors are on the disk. Whatever a killed
  process wrote after the last complete line is removed.
"""

import hashlib
import json
import os
from collections import Counter
from pathlib import Path
from typing import IO, Any
from zlib import crc32

from lba_cli.files import append_line, read_text, sweep, write_text
from lba_cli.search.embed_paths import EmbeddedBatch, EmbeddingRequest, UnreadableImage

FORMAT, VERSION = "lba-unfinished-embedding", 3
PLAN, VECTORS, DONE = "plan.json", "vectors.f32", "done.jsonl"
LONGEST_LINE = 2**24


def fingerprint_of(request: EmbeddingRequest) -> str:
    """Return a fingerprint of the model, the modality, and the images: their paths, sizes and modification times."""
    digest, embedder = hashlib.sha256(), request.embedder
    model = (embedder.fingerprint, embedder.height, embedder.width, embedder.dimension, embedder.value_range)
    digest.update(json.dumps([FORMAT, VERSION, *model, request.modality]).encode())
    for path in request.paths:
        try:
            status = Path(path).stat()
            facts = (status.st_size, status.st_mtime_ns)
        except OSError:
            facts = (-1, -1)
        digest.update(json.dumps([path, *facts]).encode())
    return digest.hexdigest()


class PartialEmbedding:
    """The vectors computed so far, in the folder ``.NAME.unfinished`` beside the output.

    Args:
        output, dimension, images: the file to write in the end, the length of a vector, and the number of images to embed.

    Attributes:
        path, vectors: the hidden folder, and the file of the vectors in it.
        done, rows: the number of images that are embedded or unreadable, and the number that are embedded.
        unreadable: the images that can't be decoded.
        facts: the numbers of embedded images with unusual pixel values, see :mod:`lba_cli.data.pixel_values`.
    """

    def __init__(self, output: Path, dimension: int, images: int) -> None:
        output = output.absolute()
        self.path = output.with_name(f".{output.name}.unfinished")
        self.vectors = self.path / VECTORS
        self._row_bytes, self._images = 4 * dimension, images
        self.done, self.rows = 0, 0
        self.unreadable: list[UnreadableImage] = []
        self.facts: Counter[str] = Counter()

    def begin(self, fingerprint: str) -> bool:
        """Continue from the folder's vectors if they have this fingerprint and are undamaged; otherwise discard them.

        Return whether vectors were discarded.
        """
        plan = {"format": FORMAT, "version": VERSION, "fingerprint": fingerprint}
        thrown_away = False
        if self.path.exists() and not (self._has(plan) and self._read()):
            thrown_away = (self.path / DONE).exists() and (self.path / DONE).stat().st_size > 0
            self.discard()
            self.done, self.rows, self.unreadable, self.facts = 0, 0, [], Counter()
        if not (self.path / PLAN).exists():
            self.path.mkdir(parents=True, exist_ok=True)
            self.vectors.touch()
            (self.path / DONE).touch()
            write_text(self.path / PLAN, json.dumps(plan))
        return thrown_away

    def add(self, batch: EmbeddedBatch) -> None:
        """Write a batch to the disk; it is safe there when the function returns."""
        content = batch.vectors.astype("<f4").tobytes()
        with self.vectors.open("ab") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        rows = self.rows + len(batch.positions)
        line = {"done": batch.stop, "rows": rows, "unreadable": batch.unreadable, "facts": batch.facts}
        append_line(self.path / DONE, json.dumps({**line, "crc32": crc32(content)}))
        self.done, self.rows = batch.stop, rows
        self.unreadable += batch.unreadable
        self.facts.update(batch.facts)

    def discard(self) -> None:
        """Delete the files that this class writes, and the folder, which must then be empty."""
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
        """Read every complete batch, and truncate the files after the last one; return whether the files are consistent."""
        end = 0
        try:
            with (self.path / DONE).open("rb") as lines, self.vectors.open("rb") as vectors:
                while (line := lines.readline(LONGEST_LINE)).endswith(b"\n"):
                    if not self._take(json.loads(line), vectors):
                        return False
                    end += len(line)
            os.truncate(self.path / DONE, end)
            os.truncate(self.vectors, self.rows * self._row_bytes)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return False
        return True

    def _take(self, line: dict[str, Any], vectors: IO[bytes]) -> bool:
        """Add the batch of a line of ``done.jsonl``; return whether it continues the earlier batches and its checksum is right."""
        unreadable = [UnreadableImage(int(position), str(reason)) for position, reason in line["unreadable"]]
        begin, (done, rows) = self.done, (int(line["done"]), int(line["rows"]) - self.rows)
        fits = rows >= 0 and begin < done == begin + rows + len(unreadable) and done <= self._images
        if not fits or not all(begin <= each.position < done for each in unreadable):
            return False
        self.done, self.rows, self.unreadable = done, self.rows + rows, self.unreadable + unreadable
        self.facts.update({str(fact): int(count) for fact, count in line["facts"].items()})
        return bool(crc32(vectors.read(rows * self._row_bytes)) == line["crc32"])
