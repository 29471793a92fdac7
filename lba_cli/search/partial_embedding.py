"""The vectors computed so far, kept in a hidden folder beside the output, so that embedding can continue after a stop.

- ``plan.json`` has a fingerprint of the model and of the images.
- Each process of each attempt has a number N of its own, and two files. ``vectors-N.f32`` has its vectors, as raw little-endian
  float32. ``done-N.jsonl`` gets a line for each batch, with a checksum, once the batch's vectors are on the disk.

No file is continued by another process: whatever a killed process wrote after its last complete line is ignored. So an attempt
may have more or fewer processes than the one before.
"""

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO, Any, NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from lba_cli.errors import LbaError
from lba_cli.files import append_line, read_text, sweep, write_text
from lba_cli.processes import World
from lba_cli.search.embed_paths import EmbeddedBatch, EmbeddingRequest, UnreadableImage

FORMAT, VERSION = "lba-unfinished-embedding", 4
PLAN = "plan.json"
OURS = re.compile(r"(done|vectors)-([0-9]{1,9})\.(jsonl|f32)")
LONGEST_LINE = 2**24
FLOAT32 = np.dtype("<f4")


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


class Beginning(NamedTuple):
    """What an attempt starts from.

    Attributes:
        fingerprint: the fingerprint of the work.
        number: the number of the first process's files.
        discarded: whether vectors of other work were discarded.
        missing: the ranges of positions, first and past the last, that are still to be embedded.
    """

    fingerprint: str
    number: int
    discarded: bool
    missing: list[tuple[int, int]]


@dataclass(frozen=True)
class KeptBatch:
    """A batch that is already on disk: the images at positions ``begin`` up to but without ``stop``, except the unreadable ones.

    Its vectors are ``rows`` rows of file number ``number``, from row ``first`` on.
    """

    begin: int
    stop: int
    number: int
    first: int
    rows: int
    unreadable: list[UnreadableImage]
    facts: dict[str, int]


@dataclass(frozen=True)
class KeptEmbedding:
    """All vectors, read from the disk in the order of the images.

    Attributes:
        paths: the n paths of the images that could be decoded.
        unreadable: the other images.
        facts: the numbers of images with unusual pixel values, see :mod:`lba_cli.data.pixel_values`.
    """

    paths: list[str]
    unreadable: list[UnreadableImage]
    facts: Counter[str]
    _folder: Path
    _batches: Sequence[KeptBatch]
    _dimension: int

    def vectors(self) -> Iterator[NDArray[np.float32]]:
        """Yield the (n, D) float32 vectors, a batch at a time."""
        for batch in self._batches:
            with _vectors(self._folder, batch.number).open("rb") as file:
                file.seek(batch.first * self._dimension * FLOAT32.itemsize)
                yield np.fromfile(file, FLOAT32, batch.rows * self._dimension).reshape(batch.rows, self._dimension)

    def rows(self) -> Iterator[tuple[list[str], NDArray[np.float32]]]:
        """Yield the paths and the vectors of each batch."""
        start = 0
        for vectors in self.vectors():
            yield self.paths[start : start + len(vectors)], vectors
            start += len(vectors)


class PartialEmbedding:
    """The vectors computed so far, in the folder ``.NAME.unfinished`` beside the output.

    Args:
        output, dimension, paths: the file or folder to write in the end, D, and the images.

    Attributes:
        path: the hidden folder.
        done: the number of images that are embedded or unreadable, without those of other processes in this attempt.
    """

    def __init__(self, output: Path, dimension: int, paths: Sequence[str]) -> None:
        output = output.absolute()
        self.path = output.with_name(f".{output.name}.unfinished")
        self._dimension, self._paths = dimension, paths
        self.done, self._number, self._rows = 0, 0, 0

    def begin(self, fingerprint: str) -> Beginning:
        """Find what is left of earlier attempts with this fingerprint; discard what belongs to other work.

        One process does this for all.
        """
        plan = {"format": FORMAT, "version": VERSION, "fingerprint": fingerprint}
        discarded = False
        if self.path.exists() and not self._has(plan):
            discarded = any(path.stat().st_size for path, _ in self._files())
            self.discard()
        if not (self.path / PLAN).exists():
            self.path.mkdir(parents=True, exist_ok=True)
            write_text(self.path / PLAN, json.dumps(plan))
        unused = 1 + max((number for _, number in self._files()), default=0)
        return Beginning(fingerprint, unused, discarded, self._missing(self._batches()))

    @property
    def begun(self) -> bool:
        """Whether there is work that another attempt can continue."""
        return (self.path / PLAN).exists()

    def share(self, beginning: Beginning, world: World) -> list[tuple[int, int]]:
        """Return the ranges of positions that this process embeds: an equal part of what is missing."""
        self._number = beginning.number + world.rank
        total = sum(stop - begin for begin, stop in beginning.missing)
        self.done = len(self._paths) - total
        first, last = (total * rank // world.size for rank in (world.rank, world.rank + 1))
        own, passed = [], 0
        for begin, stop in beginning.missing:
            low, high = max(begin, begin + first - passed), min(stop, begin + last - passed)
            if low < high:
                own.append((low, high))
            passed += stop - begin
        return own

    def add(self, batch: EmbeddedBatch) -> None:
        """Write a batch to the disk; it is safe there when the function returns."""
        content = batch.vectors.astype(FLOAT32).tobytes()
        with _vectors(self.path, self._number).open("ab") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        line = {
            "begin": batch.begin,
            "stop": batch.stop,
            "first": self._rows,
            "rows": len(batch.positions),
            "unreadable": batch.unreadable,
            "facts": batch.facts,
            "crc32": crc32(content),
        }
        append_line(_log(self.path, self._number), json.dumps(line))
        self._rows += len(batch.positions)
        self.done += batch.stop - batch.begin

    def collect(self) -> KeptEmbedding:
        """Return all vectors.

        Raises:
            LbaError: vectors of other processes are missing.
        """
        batches = self._batches()
        if missing := sum(stop - begin for begin, stop in self._missing(batches)):
            raise LbaError(
                f"{self.path}: the vectors of {missing} images are missing: all processes need this folder, on a file system that "
                "they share"
            )
        unreadable = [each for batch in batches for each in batch.unreadable]
        facts = sum((Counter(batch.facts) for batch in batches), Counter[str]())
        left_out = {each.position for each in unreadable}
        paths = [path for position, path in enumerate(self._paths) if position not in left_out]
        return KeptEmbedding(paths, unreadable, facts, self.path, batches, self._dimension)

    def discard(self) -> None:
        """Delete the files that this class writes, and the folder unless it holds other files."""
        for path, _ in self._files():
            path.unlink()
        (self.path / PLAN).unlink(missing_ok=True)
        sweep(self.path / PLAN)
        if not any(self.path.iterdir()):
            self.path.rmdir()

    def _has(self, plan: dict[str, Any]) -> bool:
        try:
            return bool(json.loads(read_text(self.path / PLAN)) == plan)
        except (OSError, ValueError, RecursionError):
            return False

    def _files(self) -> list[tuple[Path, int]]:
        """Return the files of all processes, with their numbers."""
        matches = [(path, OURS.fullmatch(path.name)) for path in self.path.iterdir()] if self.path.is_dir() else []
        return [(path, int(match[2])) for path, match in matches if match]

    def _missing(self, batches: Sequence[KeptBatch]) -> list[tuple[int, int]]:
        """Return the ranges of positions that no kept batch covers."""
        edges = [(0, 0), *((batch.begin, batch.stop) for batch in batches), (len(self._paths),) * 2]
        return [(stop, begin) for (_, stop), (begin, _) in pairwise(edges) if stop < begin]

    def _batches(self) -> list[KeptBatch]:
        """Return the batches of all files, in order. Of batches that overlap, one counts."""
        numbers = {number for _, number in self._files()}
        found = sorted((batch for number in numbers for batch in self._read(number)), key=lambda batch: batch.begin)
        kept: list[KeptBatch] = []
        for batch in found:
            if not kept or batch.begin >= kept[-1].stop:
                kept.append(batch)
        return kept

    def _read(self, number: int) -> list[KeptBatch]:
        """Return the batches of a process, up to the first line that is unfinished or damaged."""
        batches: list[KeptBatch] = []
        try:
            with _log(self.path, number).open("rb") as lines, _vectors(self.path, number).open("rb") as vectors:
                while (line := lines.readline(LONGEST_LINE)).endswith(b"\n"):
                    batches.append(self._checked(json.loads(line), number, vectors))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            pass
        return batches

    def _checked(self, line: dict[str, Any], number: int, vectors: IO[bytes]) -> KeptBatch:
        """Return the batch of a line. Raises ValueError if it contradicts itself or its vectors."""
        begin, stop, first, rows = (int(line[name]) for name in ("begin", "stop", "first", "rows"))
        unreadable = [UnreadableImage(int(position), str(reason)) for position, reason in line["unreadable"]]
        facts = {str(fact): int(count) for fact, count in line["facts"].items()}
        within = 0 <= begin < stop <= len(self._paths) and all(begin <= each.position < stop for each in unreadable)
        size = self._dimension * FLOAT32.itemsize
        if not (within and min(first, rows) >= 0 and stop - begin == rows + len(unreadable)):
            raise ValueError("the batch contradicts itself")
        vectors.seek(first * size)
        if crc32(vectors.read(rows * size)) != line["crc32"]:
            raise ValueError("the vectors were changed")
        return KeptBatch(begin, stop, number, first, rows, unreadable, facts)


def _log(folder: Path, number: int) -> Path:
    return folder / f"done-{number}.jsonl"


def _vectors(folder: Path, number: int) -> Path:
    return folder / f"vectors-{number}.f32"
