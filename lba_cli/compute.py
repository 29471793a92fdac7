"""Devices, precision of arithmetic, and memory for computing with tensors."""

import ctypes
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Literal

import torch

from lba_cli import processes
from lba_cli.errors import ConfigError
from lba_cli.reporting import Listener, Silent
from lba_cli.vocabulary import EmbeddingPrecision, Precision

MMAP_THRESHOLD = 2**25  # bytes; glibc raises its own threshold up to this when large blocks are freed


def resolve_device(name: str, listener: Listener = Silent()) -> torch.device:
    """Return the device called ``name``: ``auto`` (CUDA where there is one), ``cpu``, ``mps``, ``cuda`` or ``cuda:N``.

    If there is no Apple GPU, ``mps`` means the CPU, and the listener is warned.

    Raises:
        ConfigError: this machine has no such CUDA device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "mps" and not torch.backends.mps.is_available():
        listener.warn("run.device=mps: PyTorch finds no Apple GPU here, so the CPU is used")
        return torch.device("cpu")
    if name.startswith("cuda"):
        if not torch.cuda.is_available():
            raise ConfigError(f"run.device={name}: PyTorch finds no CUDA device here; use run.device=auto or cpu")
        if int(name.partition(":")[2] or 0) >= torch.cuda.device_count():  # torch.device takes numbers modulo 256
            raise ConfigError(
                f"run.device={name}: there is no such device; the last one is cuda:{torch.cuda.device_count() - 1}"
            )
    return torch.device(name)


def own_device(name: str, listener: Listener = Silent()) -> torch.device:
    """Return this process's device for ``name``. Under torchrun, ``cuda`` means the GPU whose number is the local rank.

    A GPU with a number becomes PyTorch's current one: autocast and pinned memory belong to the current GPU, not to the tensors'.
    It stays the current one, which ``cuda`` means from then on.

    With ``mps``, the listener is warned if there is no Apple GPU, so that the CPU computes everything, and when the CPU
    computes an operator that the GPU doesn't support.

    Raises:
        ConfigError: there is no such device, or several processes would share a GPU.
    """
    device, world = resolve_device(name, listener), processes.current()
    if device.type == "mps":
        if world.local_size > 1:
            raise ConfigError(f"run.device=mps: {world.local_size} processes can't share a GPU; use run.device=cpu")
        _report_missing_operators(listener)
    if device.type != "cuda":
        return device
    if world.by_torchrun:
        device = torch.device("cuda", _number_under_torchrun(name, device, world))
    if device.index is not None:
        torch.cuda.set_device(device)
    return device


def _number_under_torchrun(name: str, device: torch.device, world: processes.World) -> int:
    """Return the number of this process's GPU; raise a ConfigError if it would have none of its own."""
    if device.index is not None and world.local_size > 1:
        raise ConfigError(
            f"run.device={name}: {world.local_size} processes can't share a device; with run.device=cuda each gets its own"
        )
    if world.local_rank >= torch.cuda.device_count():
        raise ConfigError(
            f"{world.local_size} processes need a CUDA device each, but this machine has only {torch.cuda.device_count()}: start "
            "fewer processes (torchrun --nproc-per-node), or compute on the CPU with run.device=cpu"
        )
    return world.local_rank if device.index is None else device.index


def _report_missing_operators(listener: Listener) -> None:
    """Pass PyTorch's warnings about operators that only the CPU can compute, not Apple's GPU, to the listener."""
    show = warnings.showwarning

    def report(message: Warning | str, *place: Any, **more: Any) -> None:
        if "MPS" in str(message) and "CPU" in str(message):
            listener.warn(f"run.device=mps: {' '.join(str(message).split('. ')[0].split())}")
        else:
            show(message, *place, **more)

    warnings.showwarning = report


@contextmanager
def keep_memory(device: torch.device) -> Iterator[None]:
    """Keep the memory of freed CPU tensors for new ones within the block.

    glibc returns every large block to the system as soon as it is freed, and the system clears the pages of the next block when
    they are first written. This takes two fifths of the time of a training step on a CPU. When the ``with`` block ends, all
    free memory is returned, and glibc gets the thresholds that it would reach by itself. If ``device`` isn't the CPU, or the
    system has no glibc, nothing changes. Blocks can't be nested.
    """
    system = ctypes.CDLL(None) if sys.platform == "linux" and device.type == "cpu" else None
    if not hasattr(system, "mallopt"):
        yield
        return
    try:
        _set_allocator(system, mmap_max=0, trim_threshold=-1)
        yield
    finally:
        _set_allocator(system, mmap_max=65536, trim_threshold=2 * MMAP_THRESHOLD)
        system.malloc_trim(0)  # type: ignore[union-attr]


def _set_allocator(system: Any, *, mmap_max: int, trim_threshold: int) -> None:
    """Set how many blocks glibc places outside its heap, and how many free bytes it keeps at the heap's end (-1: all)."""
    for option, value in ((-4, mmap_max), (-1, trim_threshold), (-3, MMAP_THRESHOLD)):
        system.mallopt(option, value)  # M_MMAP_MAX, M_TRIM_THRESHOLD, M_MMAP_THRESHOLD


def resolve_precision(precision: Precision, device: torch.device) -> Precision:
    """Replace ``auto`` with bfloat16 if ``device`` has instructions for bfloat16, otherwise with tf32.

    Processors have them as AMX (Intel) or AVX512-BF16 (also AMD since Zen 4). Without them, bfloat16 is emulated, and slower than
    float32.
    """
    if precision != "auto":
        return precision
    if device.type == "cuda":
        with torch.cuda.device(device):
            return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "tf32"
    if device.type != "cpu":
        return "tf32"
    flags = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return "bfloat16" if any(getattr(torch.cpu, flag, lambda: False)() for flag in flags) else "tf32"


def embedding_precision(precision: EmbeddingPrecision, device: torch.device) -> Literal["float32", "bfloat16"]:
    """Return the arithmetic of embeddings: ``auto`` is bfloat16 if ``device`` has instructions for bfloat16, otherwise float32."""
    return "bfloat16" if resolve_precision(precision, device) == "bfloat16" else "float32"


@contextmanager
def arithmetic(precision: Precision, device: torch.device) -> Iterator[None]:
    """Compute convolutions, forward and backward, in ``precision`` within the block.

    With ``tf32``, CUDA's matrix units round the inputs of convolutions, as PyTorch 1.7.1 did when the published figures were
    made; on a CPU, ``tf32`` is the same as ``float32``. Other matrix products, such as those of the alignment and of distances,
    stay in exact float32. For ``bfloat16`` see also :func:`mixed_precision`.
    """
    name, on, off, owners = _tf32_switches()
    before = [getattr(owner, name) for owner in owners]
    during = [on if resolve_precision(precision, device) != "float32" else off, off]
    try:
        for owner, value in zip(owners, during, strict=True):
            setattr(owner, name, value)
        yield
    finally:
        for owner, value in zip(owners, before, strict=True):
            setattr(owner, name, value)


@contextmanager
def exact_arithmetic(device: torch.device) -> Iterator[None]:
    """Compute in exact float32 and without gradients on ``device`` within the block, whatever the program's settings are."""
    with torch.inference_mode(), arithmetic("float32", device):
        yield


def _tf32_switches() -> tuple[str, Any, Any, tuple[Any, Any]]:
    """Return the name of PyTorch's TF32 attribute, its on and off values, and its owners (convolutions, matrix products).

    PyTorch 2.9 introduced a second name for the attribute. Once a program has set the second name, reading the first one fails, or
    setting it has no effect where the setting for all of PyTorch counts.
    """
    try:
        if getattr(torch.backends, "fp32_precision", "none") != "none":
            raise RuntimeError
        _ = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    except RuntimeError:
        convolutions: Any = torch.backends.cudnn
        return "fp32_precision", "tf32", "ieee", (convolutions.conv, torch.backends.cuda.matmul)
    return "allow_tf32", True, False, (torch.backends.cudnn, torch.backends.cuda.matmul)


def mixed_precision(precision: Precision, device: torch.device) -> torch.autocast:
    """Return an autocast for the forward pass of one step, to bfloat16 if that is the ``precision``, otherwise disabled.

    Autocast keeps rounded weights until its block ends, so a block longer than one step would compute with stale weights.
    """
    enabled = resolve_precision(precision, device) == "bfloat16"
    with torch.cuda.device(device) if device.type == "cuda" else nullcontext():  # autocast asks the current GPU
        return torch.autocast(device.type, torch.bfloat16, enabled=enabled)
