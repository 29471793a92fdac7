"""Where and in which arithmetic tensors are computed."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from lba_cli import processes
from lba_cli.errors import ConfigError
from lba_cli.vocabulary import Precision

LARGE_PIECE = 2**25  # bytes; glibc's own bound rises to it in a process that frees large pieces


def resolve_device(name: str) -> torch.device:
    """The device that ``auto`` (CUDA where there is one), ``cpu``, ``cuda`` or ``cuda:N`` names.

    Raises:
        ConfigError: there is no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise ConfigError(f"run.device={name}: PyTorch sees no CUDA device here; use run.device=auto or cpu")
        if (device.index or 0) >= torch.cuda.device_count():
            raise ConfigError(f"run.device={name}: there are {torch.cuda.device_count()} CUDA devices, counted from 0")
    return device


def own_device(name: str) -> torch.device:
    """As :func:`resolve_device`; where ``torchrun`` has started several processes, each takes the CUDA device of its number.

    Raises:
        ConfigError: there is no such device, or it would be that of several processes.
    """
    device, world = resolve_device(name), processes.current()
    if device.type != "cuda" or not world.by_torchrun:
        return device
    if device.index is not None and world.local_size > 1:
        raise ConfigError(
            f"run.device={name}: {world.local_size} processes can't share a device; with run.device=cuda each takes its own"
        )
    if world.local_rank >= torch.cuda.device_count():
        raise ConfigError(
            f"there are {torch.cuda.device_count()} CUDA devices here for {world.local_size} processes: start fewer with "
            "torchrun --nproc-per-node, or compute elsewhere with run.device=cpu"
        )
    own = torch.device("cuda", world.local_rank if device.index is None else device.index)
    torch.cuda.set_device(own)
    return own


@contextmanager
def memory_kept(device: torch.device) -> Iterator[None]:
    """Let the process keep the CPU's memory of tensors that are gone, for the next ones, within the block.

    glibc gives every large piece back to the system at once. The next tensor's is then cleared page by page when it is first
    written: two fifths of a training step on a CPU. When the block ends all of it is given back, and glibc left with the
    bounds to which its own ones rise. Without glibc, or where tensors are on a GPU, nothing is changed. Blocks don't nest.
    """
    system = ctypes.CDLL(None) if sys.platform == "linux" and device.type == "cpu" else None
    if not hasattr(system, "mallopt"):
        yield
        return
    try:
        _set_allocator(system, pieces_apart=0, give_back_above=-1)
        yield
    finally:
        _set_allocator(system, pieces_apart=65536, give_back_above=2 * LARGE_PIECE)
        system.malloc_trim(0)  # type: ignore[union-attr]


def _set_allocator(system: Any, *, pieces_apart: int, give_back_above: int) -> None:
    """How many large pieces may be apart from glibc's heap, and how many free bytes at the heap's end it gives back (-1: none)."""
    for what, value in ((-4, pieces_apart), (-1, give_back_above), (-3, LARGE_PIECE)):
        system.mallopt(what, value)  # M_MMAP_MAX, M_TRIM_THRESHOLD, M_MMAP_THRESHOLD


def resolve_precision(precision: Precision, device: torch.device) -> Precision:
    """What ``auto`` means on ``device``: bfloat16 where matrix units compute in it, otherwise tf32."""
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "tf32"
    has_matrix_units = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)()
    return "bfloat16" if has_matrix_units else "tf32"


@contextmanager
def arithmetic(precision: Precision, device: torch.device) -> Iterator[None]:
    """Let convolutions, forward and backward, compute in ``precision`` within the block.

    ``float32`` is exact float32; ``tf32`` lets CUDA's matrix units round the inputs of convolutions, as PyTorch 1.7.1 did
    when the published figures were made (the same as float32 elsewhere). Other matrix products, those of the alignment
    and of distances among them, stay in exact float32.
    """
    name, on, off, owners = _switches()
    before = [getattr(owner, name) for owner in owners]
    after = [on if resolve_precision(precision, device) != "float32" else off, off]
    try:
        for owner, value in zip(owners, after, strict=True):
            setattr(owner, name, value)
        yield
    finally:
        for owner, value in zip(owners, before, strict=True):
            setattr(owner, name, value)


def _switches() -> tuple[str, Any, Any, tuple[Any, Any]]:
    """What lets convolutions and matrix products round: its name, its values, and the two that have it.

    Since PyTorch 2.9 it has a newer name too, and refuses the old one to whoever has set it by that.
    """
    try:
        _ = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    except RuntimeError:
        convolutions: Any = torch.backends.cudnn
        return "fp32_precision", "tf32", "ieee", (convolutions.conv, torch.backends.cuda.matmul)
    return "allow_tf32", True, False, (torch.backends.cudnn, torch.backends.cuda.matmul)


def mixed_precision(precision: Precision, device: torch.device) -> torch.autocast:
    """Autocast to bfloat16 if that is the ``precision``, for the forward pass of one step.

    Autocast keeps the weights it has rounded until its block ends, so a block that outlasts a step trains on stale ones.
    """
    enabled = resolve_precision(precision, device) == "bfloat16"
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled)
