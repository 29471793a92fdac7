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

from lba_cli.errors import CheckpointError, quoted

# More than any network of lba with its training state; a file of that size isn't opened.
MOST_BYTES = 4 * 2**30
MOST_PICKLE = 16 * 2**20
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
    except Exception as problem:
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
            for entry in entries:
                if entry.filename.endswith("data.pkl"):
                    _require_known_names(path, archive, entry)
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError, EOFError, struct.error) as problem:
        raise CheckpointError(f"{path}: {_not_an_archive(path)}") from problem


def _require_known_names(path: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    """Refuse a pickle that names more than a checkpoint needs: PyTorch's own list has names that take memory without bound."""
    if entry.file_size > MOST_PICKLE:
        raise CheckpointError(
            f"{path}: its pickle has {entry.file_size:,} bytes; no checkpoint's is larger than {MOST_PICKLE:,}"
        )
    for code, argument, _ in pickletools.genops(archive.read(entry)):
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
