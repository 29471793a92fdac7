"""Read cell arrays of numbers from untrusted MATLAB files, in bounded memory.

In this format (MAT-file Level 5), a few bytes can declare millions of cells or decompress to gigabytes, and SciPy's reader
crashes on some damaged files. This reader supports only nested cell arrays of numbers.
"""

import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lba_cli.files import read_bytes

MOST_FILE, MOST_UNPACKED, MOST_ELEMENTS = 32 * 2**20, 64 * 2**20, 100_000
HEADER = 128
MATRIX, COMPRESSED, SIZES = 14, 15, 5  # kinds of elements
CELL, NUMBERS, COMPLEX = 1, range(6, 16), 0x800  # classes of arrays, and a flag
# NumPy types of the kinds of elements that hold numbers.
STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
DEEPEST = 4


class MatlabError(ValueError):
    """A MATLAB file is damaged or too large, lacks a variable, or contains something other than cell arrays of numbers."""


class _Element(NamedTuple):
    kind: int
    content: memoryview


def load_cells(path: Path, name: str) -> NDArray[np.object_]:
    """Return the cell array called ``name`` in a MATLAB file. Each cell is an array of numbers or another cell array.

    Raises:
        OSError: the file can't be read or is larger than 32 MiB.
        MatlabError: the file is damaged or would decompress to too many bytes, contains something other than cell arrays of
            numbers, or has no such cell array.
    """
    content = read_bytes(path, MOST_FILE)
    order = {b"IM": "<", b"MI": ">"}.get(content[126:HEADER])
    if order is None:
        raise MatlabError("not a MATLAB 5 file")
    variables = dict(_variables(memoryview(content)[HEADER:], order))
    if name not in variables or variables[name].dtype != object:
        raise MatlabError(f"it has no cell array named '{name}'")
    return variables[name]


def _variables(content: memoryview, order: str) -> Iterator[tuple[str, NDArray[Any]]]:
    left = MOST_UNPACKED
    for element in _elements(content, order):
        if element.kind == COMPRESSED:
            unpacked = _unpack(element.content, left)
            left -= len(unpacked)
            for inner in _elements(memoryview(unpacked), order):
                yield _matrix(inner, order, 0)
        else:
            yield _matrix(element, order, 0)


def _unpack(content: memoryview, most: int) -> bytes:
    decompressor = zlib.decompressobj()
    try:
        unpacked = decompressor.decompress(content, most + 1)
    except zlib.error as problem:
        raise MatlabError("its compressed data are damaged") from problem
    if len(unpacked) > most:
        raise MatlabError(f"it would decompress to more than {MOST_UNPACKED:,} bytes")
    return unpacked


def _elements(content: memoryview, order: str) -> Iterator[_Element]:
    """Yield the elements in ``content``, which has the byte order ``order`` (``<`` or ``>``)."""
    position = count = 0
    while len(content) - position >= 8:
        count += 1
        if count > MOST_ELEMENTS:
            raise MatlabError(f"it has more than {MOST_ELEMENTS:,} elements")
        kind, size = struct.unpack_from(order + "II", content, position)
        start = position + 8
        if kind >> 16:  # a small element: kind and size share four bytes, its content has the other four
            kind, size, start = kind & 0xFFFF, kind >> 16, position + 4
            position += 8
            if size > 4:
                raise MatlabError("damaged: an element of impossible size")
        else:
            position = start + size + (-size % 8 if kind != COMPRESSED else 0)
        if start + size > len(content):
            raise MatlabError("truncated")
        yield _Element(kind, content[start : start + size])


def _matrix(element: _Element, order: str, depth: int) -> tuple[str, NDArray[Any]]:
    """Return the name and the values of an array inside ``depth`` cell arrays. MATLAB uses column-major order."""
    if element.kind != MATRIX or depth > DEEPEST:
        raise MatlabError("it contains something other than cell arrays of numbers")
    if not element.content:
        return "", np.zeros((0, 0))
    parts = list(_elements(element.content, order))
    if len(parts) < 3 or len(parts[0].content) != 8 or parts[1].kind != SIZES:
        raise MatlabError("damaged: an array without class or sizes")
    flags = struct.unpack_from(order + "I", parts[0].content)[0]
    sizes = np.frombuffer(parts[1].content, order + "i4", len(parts[1].content) // 4).tolist()
    name, values = bytes(parts[2].content).decode("latin-1"), parts[3:]
    if any(size < 0 for size in sizes) or not 2 <= len(sizes) <= 8:
        raise MatlabError("damaged: an array of impossible sizes")
    if flags & 0xFF == CELL:
        if math.prod(sizes) != len(values):
            raise MatlabError("damaged: the number of cells differs from the declared number")
        cells = np.empty(len(values), object)
        for number, value in enumerate(values):
            cells[number] = _matrix(value, order, depth + 1)[1]
        return name, cells.reshape(sizes, order="F")
    if flags & 0xFF not in NUMBERS or flags & COMPLEX or len(values) != 1:
        raise MatlabError("it contains something other than cell arrays of numbers")
    return name, _numbers(values[0], order).reshape(sizes, order="F")


def _numbers(element: _Element, order: str) -> NDArray[Any]:
    """Return the numbers of an element in their stored type. MATLAB stores numbers in the smallest type that fits."""
    if element.kind not in STORED:
        raise MatlabError("damaged: numbers of an unknown type")
    kind = np.dtype(order + STORED[element.kind])
    if not element.content:
        return np.zeros(0, kind)
    return np.frombuffer(element.content, kind, len(element.content) // kind.itemsize)
