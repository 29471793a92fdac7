"""Read tensors from untrusted files: no code is run, memory is bounded, and damage is reported in one line."""

import io
import pickle
import struct
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lba_cli.errors import CheckpointError, is_resource_error, quoted
from lba_cli.model.pickle_audit import LEGACY_START, MAX_PICKLE_BYTES, NUMPY_NAMES, audit_legacy, audit_pickle

MAX_FILE_BYTES = 4 * 2**30  # no network of lba with its training state is larger
# The bytes of the records at the end of a zip archive: the plain record alone, and all records that PyTorch writes, which
# begin with the two for large archives.
END_RECORD, LONG_END_RECORD = 22, 98


class Ignored:
    """Replacement for an object of a checkpoint that isn't needed; it accepts and ignores any arguments."""

    def __init__(self, *_: Any) -> None: ...

    def __setstate__(self, _: Any) -> None: ...


def load_pickled(path: Path) -> Any:
    """Load a file that ``torch.save`` wrote, to the CPU. Only tensors and plain values are loaded.

    Raises:
        CheckpointError: the file is missing, isn't a regular file, is too large, is truncated, or would run code.
    """
    require_file(path)
    if is_legacy(path):
        audit_legacy(path)
    else:
        _require_plain_archive(path)
    try:
        with torch.serialization.safe_globals([(Ignored, name) for name in NUMPY_NAMES]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # errors about unusual pickles are reported in one line below
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as problem:
        raise CheckpointError(f"{path}: damaged or not a checkpoint (its pickle can't be read)") from problem
    except (MemoryError, OSError):
        raise
    except Exception as problem:
        if "allocate memory" in str(problem):
            raise MemoryError from problem
        raise CheckpointError(f"{path}: damaged or not a checkpoint ({type(problem).__name__})") from problem


def is_legacy(path: Path) -> bool:
    """Return whether a file has the format of PyTorch before 1.6, which is a series of pickles instead of an archive."""
    with path.open("rb") as file:
        return file.read(len(LEGACY_START)) == LEGACY_START


def load_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors and the metadata of a ``.safetensors`` file.

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
    """Raise a CheckpointError if ``path`` isn't a regular file, is empty, or is larger than ``MAX_FILE_BYTES``."""
    if not path.exists():
        raise CheckpointError(f"{path}: no such file")
    if not path.is_file():
        raise CheckpointError(f"{path}: not a regular file")
    size = path.stat().st_size
    if size == 0:
        raise CheckpointError(f"{path}: the file is empty")
    if size > MAX_FILE_BYTES:
        raise CheckpointError(f"{path}: too large ({size:,} bytes): no checkpoint has more than {MAX_FILE_BYTES:,}")


def is_whole_tensor(value: Any, wanted: Tensor) -> bool:
    """Return whether ``value`` is a plain tensor of ``wanted``'s shape and dtype, with storage for all its elements.

    A sparse, meta or expanded tensor of a few bytes can claim any shape; reading it would take unbounded memory.
    """
    return (
        type(value) in (Tensor, nn.Parameter)
        and value.layout is torch.strided
        and value.device.type == "cpu"
        and value.shape == wanted.shape
        and value.dtype == wanted.dtype
        and value.untyped_storage().nbytes() >= value.numel() * value.element_size()
    )


def require_tensors(source: str, network: str, state: Mapping[str, Any], wanted: Mapping[str, Tensor]) -> None:
    """Check that ``state`` has a finite tensor of the same shape and dtype for each tensor of ``wanted``.

    ``source`` and ``network`` are the names of the file and of the network in messages.

    Raises:
        CheckpointError: a tensor is missing or wrong; the message names the first such tensor.
    """
    for name, tensor in wanted.items():
        if not is_whole_tensor(state.get(name), tensor):
            raise CheckpointError(
                f"{source}: not weights of a {network}: '{name}' should be {tuple(tensor.shape)} {tensor.dtype}, but the "
                f"file has {_described(state.get(name), tensor)}"
            )
        if not torch.isfinite(state[name]).all():
            raise CheckpointError(
                f"{source}: '{name}' has values that are not finite: its training diverged, or the file is damaged"
            )


def _described(value: Any, wanted: Tensor) -> str:
    """Describe, for a message, a value that isn't the ``wanted`` tensor."""
    if not isinstance(value, Tensor) or value.layout is not torch.strided:
        return "nothing" if value is None else f"a {type(value).__name__}"
    if (value.shape, value.dtype) == (wanted.shape, wanted.dtype):
        return "a tensor without all of its values"
    return f"{tuple(value.shape)} {value.dtype}"


def _require_plain_archive(path: Path) -> None:
    """Refuse archives that PyTorch doesn't write: compressed ones, which may unpack to any size, and damaged ones."""
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
            if damaged := archive.testzip():  # PyTorch's reader ignores checksums
                raise CheckpointError(f"{path}: damaged: the checksum of {quoted(damaged)} in it is wrong")
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError, EOFError, struct.error) as problem:
        if is_resource_error(problem):
            raise
        raise CheckpointError(f"{path}: {_not_an_archive(path)}") from problem


def _require_one_directory(path: Path) -> None:
    """Raise BadZipFile if an archive's directory isn't just before its end: PyTorch's reader could find another directory."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - LONG_END_RECORD))
        tail = file.read()
    length, start = struct.unpack_from("<II", tail, len(tail) - END_RECORD + 12) if len(tail) >= END_RECORD else (0, 0)
    place = size - END_RECORD
    if len(tail) == LONG_END_RECORD and tail[:4] == b"PK\x06\x06":
        length, start = struct.unpack_from("<QQ", tail, 40)
        place = size - LONG_END_RECORD
    if tail[-END_RECORD:][:4] != b"PK\x05\x06" or start + length != place:
        raise zipfile.BadZipFile("the archive doesn't end with its directory and the directory's end record")


def _require_known_names(path: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    """Refuse a pickle with names that no checkpoint needs. Even names that PyTorch considers safe can take unbounded memory."""
    if entry.file_size > MAX_PICKLE_BYTES:
        raise CheckpointError(
            f"{path}: refused: its pickle has {entry.file_size:,} bytes; a checkpoint's has at most {MAX_PICKLE_BYTES:,}"
        )
    audit_pickle(path, io.BytesIO(archive.read(entry)))


def _not_an_archive(path: Path) -> str:
    """Return a message that says what a file other than a zip archive may be, judging by its first bytes."""
    with path.open("rb") as file:
        start = file.read(64)
    if start.startswith(b"PK"):
        return "damaged: the file is truncated"
    if start.startswith(b"\x80"):
        return (
            "refused: a bare pickle, which could run code; if you trust it, load it with pickle and save its state dict with "
            "torch.save"
        )
    return "damaged or not a checkpoint"
