"""Reading tensors from files that strangers made: no code is run, memory is bounded, damage is told in one line."""

from __future__ import annotations

import pickle
import pickletools
import struct
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lba_cli.errors import CheckpointError, is_resource_error, quoted

# More than any network of lba with its training state; a file of that size isn't opened.
MOST_BYTES = 4 * 2**30
MOST_PICKLE = 16 * 2**20
# A few containers that hold each other twice are more than any memory or time when they are walked; checkpoints share none
# but the types of NumPy's figures.
MOST_FETCHED = 16
PLAIN_CODES = {"BINUNICODE", "SHORT_BINUNICODE", "UNICODE", "GLOBAL", "BINBYTES", "SHORT_BINBYTES", "EMPTY_TUPLE"}
# Bytes of a zip archive's end: of the plain record, and with those of large archives before it, which PyTorch writes.
END, LONG_END = 22, 98
# What a checkpoint's pickle may name: tensors and what they consist of …
_TENSOR_NAMES = (
    "collections.OrderedDict",
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_tensor_v2",
    *(
        f"torch.{kind}Storage"
        for kind in ("Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool")
    ),
)
# … and NumPy's constructors, which the released checkpoint uses for its figures. They are replaced by a stand-in that
# does nothing, so that not even NumPy's code runs.
_NUMPY_NAMES = (
    *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("scalar", "_reconstruct")),
    "numpy.ndarray",
    "numpy.dtype",
    *(f"numpy.dtypes.{kind}DType" for kind in ("Float16", "Float32", "Float64", "Int32", "Int64")),
)
_NAMES = {*_TENSOR_NAMES, *_NUMPY_NAMES, "_codecs.encode"}


class Ignored:
    """Stands for an object of a checkpoint that isn't needed; takes any arguments and keeps none."""

    def __init__(self, *_: Any) -> None: ...

    def __setstate__(self, _: Any) -> None: ...


def load_pickled(path: Path) -> Any:
    """Load a file of ``torch.save`` (PyTorch 1.6 or newer) to the CPU: tensors and plain values alone.

    Raises:
        CheckpointError: the file is missing, isn't a regular file, is too large, is truncated, or would run code.
    """
    require_file(path)
    _require_plain_archive(path)
    try:
        with torch.serialization.safe_globals([(Ignored, name) for name in _NUMPY_NAMES]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about unusual pickles, which are refused in one line below
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as problem:
        raise CheckpointError(f"{path}: damaged or not a checkpoint (its pickle can't be read)") from problem
    except (MemoryError, OSError):
        raise
    except Exception as problem:
        if "allocate memory" in str(problem):
            raise MemoryError from problem
        raise CheckpointError(f"{path}: damaged or not a checkpoint ({type(problem).__name__})") from problem


def load_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Load a ``.safetensors`` file: its tensors and its metadata.

    Raises:
        CheckpointError: the file is missing, too large or damaged.
    """
    from safetensors import SafetensorError, safe_open

    require_file(path)
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, RuntimeError, KeyError, AttributeError) as problem:
        if is_resource_error(problem):
            raise
        raise CheckpointError(f"{path}: damaged or not a safetensors file") from problem


def require_file(path: Path) -> None:
    """Raise a CheckpointError unless ``path`` is a regular file that is neither empty nor absurdly large."""
    if not path.exists():
        raise CheckpointError(f"{path}: no such file")
    if not path.is_file():
        raise CheckpointError(f"{path}: not a regular file")
    size = path.stat().st_size
    if size == 0:
        raise CheckpointError(f"{path}: the file is empty")
    if size > MOST_BYTES:
        raise CheckpointError(f"{path}: {size:,} bytes; no checkpoint is larger than {MOST_BYTES:,}")


def fits(value: Any, wanted: Tensor) -> bool:
    """Whether ``value`` is a plain tensor of ``wanted``'s shape and dtype whose elements are all really there.

    A few bytes can claim to be any shape (sparse, meta and expanded tensors); reading those would take memory without bound.
    """
    return (
        type(value) in (Tensor, nn.Parameter)
        and value.layout is torch.strided
        and value.device.type == "cpu"
        and value.shape == wanted.shape
        and value.dtype == wanted.dtype
        and value.untyped_storage().nbytes() >= value.numel() * value.element_size()
    )


def _require_plain_archive(path: Path) -> None:
    """PyTorch's files are zip archives of uncompressed entries; whatever else calls itself one may unpack without bound."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            unpacked = sum(entry.file_size for entry in entries)
            if unpacked > path.stat().st_size or any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
                raise CheckpointError(
                    f"{path}: a compressed archive, not a checkpoint: it would unpack to {unpacked:,} bytes"
                )
            _require_one_directory(path)
            for entry in entries:
                if entry.filename.endswith("data.pkl"):
                    _require_known_names(path, archive, entry)
            if damaged := archive.testzip():  # PyTorch's reader doesn't look at checksums
                raise CheckpointError(f"{path}: damaged: {quoted(damaged)} in it isn't what was written")
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError, EOFError, struct.error) as problem:
        if is_resource_error(problem):
            raise
        raise CheckpointError(f"{path}: {_not_an_archive(path)}") from problem


def _require_one_directory(path: Path) -> None:
    """Refuse an archive whose directory isn't right before its end: PyTorch's reader could find another one than this.

    Raises:
        zipfile.BadZipFile: there is something before, between or after.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - LONG_END))
        tail = file.read()
    length, start = struct.unpack_from("<II", tail, len(tail) - END + 12) if len(tail) >= END else (0, 0)
    place = size - END
    if len(tail) == LONG_END and tail[:4] == b"PK\x06\x06":
        length, start = struct.unpack_from("<QQ", tail, 40)
        place = size - LONG_END
    if tail[-END:][:4] != b"PK\x05\x06" or start + length != place:
        raise zipfile.BadZipFile("its directory is not at its end")


def _require_known_names(path: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    """Refuse a pickle that names more than a checkpoint needs: PyTorch's own list has names that take memory without bound."""
    if entry.file_size > MOST_PICKLE:
        raise CheckpointError(
            f"{path}: its pickle has {entry.file_size:,} bytes; no checkpoint's is larger than {MOST_PICKLE:,}"
        )
    fetched = 0
    containers: set[Any] = set()
    before, slots = "", 0
    for code, argument, _ in pickletools.genops(archive.read(entry)):
        if "PUT" in code.name or code.name == "MEMOIZE":
            slot = slots if code.name == "MEMOIZE" else int(argument or 0)
            slots += 1
            (containers.discard if before in PLAIN_CODES else containers.add)(slot)
        elif "GET" in code.name and int(argument or 0) in containers:
            fetched += 1
            if fetched > MOST_FETCHED:
                raise CheckpointError(f"{path}: refused: its pickle folds containers into one another without end")
        before = code.name
        if code.name == "GLOBAL" and (name := str(argument).replace(" ", ".")) not in _NAMES:
            raise CheckpointError(f"{path}: {_refusal(name)}")


def _not_an_archive(path: Path) -> str:
    """What a file that isn't a zip archive is, judged by its first bytes alone."""
    with path.open("rb") as file:
        start = file.read(64)
    if start.startswith(b"PK"):
        return "damaged: the file was cut short"
    if start.startswith(b"\x80"):
        return (
            "refused: a bare pickle, or PyTorch's format from before 1.6, which could run code; if you trust it, load it "
            "with PyTorch and save it again"
        )
    return "damaged or not a checkpoint"


def _refusal(name: str) -> str:
    return (
        f"refused: its pickle asks for {quoted(name)}, which could run code; only tensors and plain values are loaded"
    )
