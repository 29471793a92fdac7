"""Audit the pickles of untrusted files before PyTorch loads them: the names that they use, and the memory that they need."""

import io
import pickletools
import tarfile
from collections import deque
from pathlib import Path
from typing import Any, BinaryIO

from lba_cli.errors import CheckpointError, quoted

MAX_PICKLE_BYTES = 16 * 2**20
# How often a pickle may refer to an earlier container. A few containers that hold each other twice take unbounded memory and
# time when they are traversed. Objects without containers may be shared freely: strings, numbers, tuples of up to three of them
# (Adam's betas are one tuple in all of its parameter groups), tensors, and the dtypes of NumPy's figures.
MAX_CONTAINER_REFERENCES = 16
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_STRINGS = {"BINUNICODE", "SHORT_BINUNICODE", "UNICODE", "SHORT_BINSTRING"}
_INTEGERS = {"BININT", "BININT1", "BININT2", "LONG1"}
_ATOMS = {*_STRINGS, *_INTEGERS, "BINFLOAT", "NONE", "NEWTRUE", "NEWFALSE", "BINBYTES", "SHORT_BINBYTES", "EMPTY_TUPLE"}
# A tensor is made of its storage, four more values and OrderedDict(), its hooks. This sequence of opcodes makes only tensors.
_END_OF_TENSOR = ["GLOBAL", "EMPTY_TUPLE", "REDUCE", "TUPLE", "REDUCE"]
_ELEMENT_BYTES = {
    **{f"torch {kind}Storage": 8 for kind in ("Double", "Long")},
    **{f"torch {kind}Storage": 4 for kind in ("Float", "Int")},
    **{f"torch {kind}Storage": 2 for kind in ("Half", "BFloat16", "Short")},
    **{f"torch {kind}Storage": 1 for kind in ("Char", "Byte", "Bool")},
}
# A checkpoint's pickle may name tensors and their parts (the last two are in files from before PyTorch 0.4), the counters of
# learning rate schedules …
_TENSOR_NAMES = (
    "collections.OrderedDict",
    "collections.Counter",
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_tensor_v2",
    *(name.replace(" ", ".") for name in _ELEMENT_BYTES),
    "torch._utils._rebuild_tensor",
    "torch.nn.parameter.Parameter",
)
# … and NumPy's constructors, which the released checkpoint needs for its figures. The loader replaces them with a class that does
# nothing, so that NumPy's code doesn't run either.
NUMPY_NAMES = (
    *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("scalar", "_reconstruct")),
    "numpy.ndarray",
    "numpy.dtype",
    *(f"numpy.dtypes.{kind}DType" for kind in ("Float16", "Float32", "Float64", "Int32", "Int64")),
)
_NAMES = {*_TENSOR_NAMES, *NUMPY_NAMES, "_codecs.encode"}
# Files from before PyTorch 1.6 begin with this number, as a pickle of its own; four more pickles follow, then the tensors.
LEGACY_START = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
_LEGACY_PICKLES, _LEGACY_CONTENT = 5, 3
_REMEDY = "if you trust the file, load it with PyTorch and save its state dict alone"

_Opcode = tuple[str, Any]  # its name and its argument


def audit_pickle(path: Path, stream: BinaryIO, claims: dict[str, int] | None = None) -> None:
    """Audit one pickle of the file ``path``, and leave ``stream`` positioned after it.

    Args:
        claims: receives the bytes of each storage that the pickle of a legacy file refers to; None for other pickles.

    Raises:
        CheckpointError: the pickle uses a name that no checkpoint needs (PyTorch's own list of safe names allows unbounded
            memory), or refers to its containers more often than any checkpoint does.
        ValueError: the pickle is truncated or broken.
    """
    memo: dict[int, _Opcode | None] = {}  # what the slots hold; None for containers
    recent: deque[_Opcode] = deque(maxlen=8)
    references = slots = 0
    for code, argument, _ in pickletools.genops(stream):
        name = code.name
        if "PUT" in name or name == "MEMOIZE":
            memo[slots if name == "MEMOIZE" else int(argument or 0)] = _without_contents(recent)
            slots += 1
            continue
        if "GET" in name:
            known = memo.get(int(argument or 0), ("NONE", None))
            references += known is None
            name, argument = known or (name, argument)
        if references > MAX_CONTAINER_REFERENCES:
            raise CheckpointError(
                f"{path}: refused: its pickle refers to the same containers very often, which could take unbounded "
                f"memory; {_REMEDY}"
            )
        if code.name == "GLOBAL" and str(argument).replace(" ", ".") not in _NAMES:
            raise CheckpointError(
                f"{path}: refused: its pickle asks for {quoted(str(argument).replace(' ', '.'))}, which could run code; only "
                f"tensors and plain values are loaded; {_REMEDY}"
            )
        if name == "BINPERSID" and claims is not None:
            key, size = _claim(path, recent)
            claims[key] = max(size, claims.get(key, 0))
        recent.append((name, argument))


def audit_legacy(path: Path) -> None:
    """Audit a file in the format from before PyTorch 1.6: all of its pickles, and the memory that its tensors would take.

    Raises:
        CheckpointError: as for :func:`audit_pickle`; or the file is damaged, or smaller than its tensors.
    """
    claims: dict[str, int] = {}
    with path.open("rb") as file:
        head = io.BytesIO(file.read(MAX_PICKLE_BYTES))
    try:
        for number in range(_LEGACY_PICKLES):
            audit_pickle(path, head, claims if number == _LEGACY_CONTENT else None)
    except ValueError as problem:
        raise CheckpointError(f"{path}: damaged: the file is truncated, or its pickles are broken") from problem
    if sum(claims.values()) > path.stat().st_size - head.tell():
        raise CheckpointError(f"{path}: damaged: the file is truncated, or its pickle asks for more than it holds")
    if tarfile.is_tarfile(path):  # PyTorch would read it as a tar archive
        raise CheckpointError(f"{path}: refused: it is also a tar archive")


def _without_contents(recent: deque[_Opcode]) -> _Opcode | None:
    """Return a description of the object that the last opcode built, or None if it is or may contain a container."""
    if not recent:
        return None
    name, argument = recent[-1]
    if name in _ATOMS or name in ("GLOBAL", "flat tuple", "dtype", "tensor"):
        return name, argument
    before = list(recent)
    if name in _TUPLES and _are_atoms(before[-1 - _TUPLES[name] : -1]):
        return "flat tuple", None
    if [each[0] for each in before[-5:]] == _END_OF_TENSOR and before[-5][1] == "collections OrderedDict":
        return "tensor", None
    is_dtype = [each[0] for each in before[-2:]] == ["TUPLE3", "REDUCE"] and before[-6:-5] == [
        ("GLOBAL", "numpy dtype")
    ]
    return ("dtype", None) if is_dtype and _are_atoms(before[-5:-2]) else None


def _are_atoms(opcodes: list[_Opcode]) -> bool:
    return all(name in _ATOMS for name, _ in opcodes)


def _claim(path: Path, recent: deque[_Opcode]) -> tuple[str, int]:
    """Return the key and the bytes of the storage that the recent opcodes refer to. Only PyTorch's own opcodes are accepted."""
    names = [name for name, _ in recent]
    if len(names) == 8 and (names[0], names[6], names[7]) == ("MARK", "NONE", "TUPLE"):
        (_, kind), (string, key), (_, location), (integer, count) = list(recent)[2:6]
        strings = string in _STRINGS and names[1] in _STRINGS and names[4] in _STRINGS
        if strings and isinstance(location, str) and integer in _INTEGERS and kind in _ELEMENT_BYTES and count >= 0:
            return str(key), int(count) * _ELEMENT_BYTES[kind]
    raise CheckpointError(f"{path}: refused: its pickle refers to tensors in a way that PyTorch never does; {_REMEDY}")
