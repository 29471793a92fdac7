"""MATLAB files from strangers: checked to be cells of numbers that are really there, before SciPy reads them.

The format (MAT-file Level 5) lets a few bytes declare cells without end, or unfold into gigabytes; its objects and structures
aren't needed here.
"""

from __future__ import annotations

import io
import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from lba_cli.files import read_bytes

MOST_FILE, MOST_UNPACKED = 64 * 2**20, 256 * 2**20
HEADER = 128
MATRIX, COMPRESSED, SIZES = 14, 15, 5  # kinds of elements
CELL, NUMBERS = 1, range(6, 16)  # classes of arrays
DEEPEST = 4


class NotPlain(ValueError):
    """A MATLAB file that is damaged, or holds something else than cells of numbers."""


class _Element(NamedTuple):
    kind: int
    content: memoryview


def load_cells(path: Path, name: str) -> Any:
    """Read the variable ``name`` of a MATLAB file with SciPy: an object array of arrays.

    Raises:
        OSError: the file can't be read or is larger than 64 MiB.
        NotPlain: it is damaged, has more or something else in it than cells of numbers, or lacks the variable.
    """
    from scipy.io import loadmat

    content = read_bytes(path, MOST_FILE)
    _require_cells_of_numbers(content)
    try:
        return loadmat(io.BytesIO(content), variable_names=[name])[name]  # type: ignore[arg-type]
    except Exception as problem:  # SciPy's reader raises many kinds for damaged files
        raise NotPlain(f"{type(problem).__name__}: {problem}") from problem


def _require_cells_of_numbers(content: bytes) -> None:
    order = {b"IM": "<", b"MI": ">"}.get(content[126:HEADER])
    if order is None:
        raise NotPlain("not a MATLAB 5 file")
    left = MOST_UNPACKED
    for element in _elements(memoryview(content)[HEADER:], order):
        if element.kind == COMPRESSED:
            unpacked = _unpack(element.content, left)
            left -= len(unpacked)
            inner = list(_elements(memoryview(unpacked), order))
        else:
            inner = [element]
        for each in inner:
            _require_matrix(each, order, 0)


def _unpack(content: memoryview, most: int) -> bytes:
    decompressor = zlib.decompressobj()
    try:
        unpacked = decompressor.decompress(content, most + 1)
    except zlib.error as problem:
        raise NotPlain("its compressed data are damaged") from problem
    if len(unpacked) > most:
        raise NotPlain(f"it would unpack to more than {MOST_UNPACKED:,} bytes")
    return unpacked


def _elements(content: memoryview, order: str) -> Iterator[_Element]:
    """The elements that follow one another in ``content``."""
    position = 0
    while len(content) - position >= 8:
        kind, size = struct.unpack_from(order + "II", content, position)
        start = position + 8
        if kind >> 16:  # a small element: kind and size share four bytes, its content has the other four
            kind, size, start = kind & 0xFFFF, kind >> 16, position + 4
            position += 8
            if size > 4:
                raise NotPlain("damaged: an element of impossible size")
        else:
            position = start + size + (-size % 8 if kind != COMPRESSED else 0)
        if start + size > len(content):
            raise NotPlain("cut short")
        yield _Element(kind, content[start : start + size])


def _require_matrix(element: _Element, order: str, depth: int) -> None:
    if element.kind != MATRIX or depth > DEEPEST:
        raise NotPlain("it holds something else than cells of numbers")
    if not element.content:
        return
    parts = list(_elements(element.content, order))
    if len(parts) < 3 or len(parts[0].content) != 8 or parts[1].kind != SIZES:
        raise NotPlain("damaged: an array without class or sizes")
    kind = struct.unpack_from(order + "I", parts[0].content)[0] & 0xFF
    sizes = struct.unpack(f"{order}{len(parts[1].content) // 4}i", parts[1].content[: len(parts[1].content) // 4 * 4])
    values = parts[3:]
    if any(size < 0 for size in sizes) or not 2 <= len(sizes) <= 8:
        raise NotPlain("damaged: an array of impossible sizes")
    if kind == CELL:
        if math.prod(sizes) != len(values):
            raise NotPlain("damaged: fewer cells than it declares")
        for value in values:
            _require_matrix(value, order, depth + 1)
    elif kind not in NUMBERS or not values or math.prod(sizes) > len(values[0].content):
        raise NotPlain("it holds something else than cells of numbers, or fewer numbers than it declares")
