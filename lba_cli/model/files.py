"""Reading tensors from files that strangers made: no code is run, and damage is told in one line."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lba_cli.errors import CheckpointError

# What a checkpoint's pickle may name besides tensors: NumPy's constructors, which the released checkpoint uses for its
# figures. They are replaced by a stand-in that does nothing, so that not even NumPy's code runs.
_NUMPY_NAMES = (
    *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("scalar", "_reconstruct")),
    "numpy.ndarray",
    "numpy.dtype",
    *(f"numpy.dtypes.{kind}DType" for kind in ("Float16", "Float32", "Float64", "Int32", "Int64")),
)


class Ignored:
    """Stands for an object of a checkpoint that isn't needed; takes any arguments and keeps none."""

    def __init__(self, *_: Any) -> None: ...

    def __setstate__(self, _: Any) -> None: ...


def load_pickled(path: Path) -> Any:
    """Load a file of ``torch.save`` to the CPU: tensors and plain values alone.

    Raises:
        CheckpointError: the file is missing, isn't a regular file, is truncated, or would run code.
    """
    require_file(path)
    _refuse_bombs(path)
    try:
        with torch.serialization.safe_globals([(Ignored, name) for name in _NUMPY_NAMES]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about unusual pickles, which are refused in one line below
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as problem:
        raise CheckpointError(f"{path}: {_refusal(str(problem))}") from problem
    except Exception as problem:
        raise CheckpointError(f"{path}: damaged or not a checkpoint ({type(problem).__name__})") from problem


def load_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Load a ``.safetensors`` file: its tensors and its metadata.

    Raises:
        CheckpointError: the file is missing or damaged.
    """
    from safetensors import SafetensorError, safe_open

    require_file(path)
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except (SafetensorError, OSError) as problem:
        raise CheckpointError(f"{path}: damaged or not a safetensors file") from problem


def require_file(path: Path) -> None:
    """Raise a CheckpointError unless ``path`` is a regular file that is not empty."""
    if not path.exists():
        raise CheckpointError(f"{path}: no such file")
    if not path.is_file():
        raise CheckpointError(f"{path}: not a regular file")
    if path.stat().st_size == 0:
        raise CheckpointError(f"{path}: the file is empty")


def _refuse_bombs(path: Path) -> None:
    """PyTorch stores its tensors uncompressed; an archive that unpacks to more than its size isn't PyTorch's."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(entry.file_size for entry in archive.infolist())
    if unpacked > path.stat().st_size:
        raise CheckpointError(f"{path}: a compressed archive, not a checkpoint: it would unpack to {unpacked:,} bytes")


def _refusal(problem: str) -> str:
    if "GLOBAL" in problem:
        name = problem.split("GLOBAL", 1)[1].split()[0]
        return f"refused: its pickle asks for '{name}', which could run code; only tensors and plain values are loaded"
    return "damaged or not a checkpoint (its pickle can't be read)"
