"""Facts about this machine: its CPU, GPUs, memory and disk."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path

CPU_FEATURES = {"AVX2": "avx2", "AVX512": "avx512f", "AVX512_BF16": "avx512_bf16", "AMX_BF16": "amx_bf16"}
SHARED_MEMORY = Path("/dev/shm")
GIB = 2**30

Value = str | int | float | bool | list[str] | None
Section = dict[str, Value]


def cpu() -> Section:
    """Return the CPU's model, its cores, and the instruction sets that matter for speed."""
    from lba_cli.data.parallel import cores

    facts = _first_processor()
    known = facts.get("flags", facts.get("Features", "")).split()
    found: Section = {
        "model": facts.get("model name") or platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "usable_cores": cores(),
    }
    if known:
        found |= {name: flag in known for name, flag in CPU_FEATURES.items()}
    return found | _arithmetic()


def _first_processor() -> dict[str, str]:
    """Read what ``/proc/cpuinfo`` says about the first processor; empty if there is no such file."""
    path = Path("/proc/cpuinfo")
    if not path.is_file():
        return {}
    lines = path.read_text(errors="replace").split("\n\n")[0].splitlines()
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    return {name.strip(): value.strip() for name, value in pairs}


def _arithmetic() -> Section:
    """How PyTorch uses the CPU; nothing if PyTorch can't be imported."""
    try:
        import torch

        from lba_cli.compute import resolve_precision

        return {
            "torch_threads": torch.get_num_threads(),
            "fastest_precision": resolve_precision("auto", torch.device("cpu")),
        }
    except Exception:  # the section on versions says why
        return {}


def gpus() -> Section:
    """Return for each CUDA device its name, memory and arithmetic."""
    import torch

    from lba_cli.compute import resolve_precision

    found: Section = {}
    for number in range(torch.cuda.device_count()):
        gpu = torch.cuda.get_device_properties(number)
        with torch.cuda.device(number):
            bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
            fastest = resolve_precision("auto", torch.device("cuda", number))
        found[f"cuda:{number}"] = (
            f"{gpu.name}, {gpu.total_memory / GIB:.1f} GiB, compute capability {gpu.major}.{gpu.minor}, "
            f"bfloat16: {'yes' if bfloat16 else 'no'}, fastest precision: {fastest}"
        )
    return found


def memory() -> Section:
    """Return the sizes of the main memory, the shared memory, and the free disk of the current folder, in GiB."""
    found: Section = {}
    lines = _memory_lines()
    for name, line in (("total_gib", "MemTotal"), ("available_gib", "MemAvailable")):
        if line in lines:
            found[name] = round(lines[line] / GIB, 1)
    if limit := _container_limit():
        found["container_limit_gib"] = round(limit / GIB, 1)
    if SHARED_MEMORY.is_dir():
        shared = shutil.disk_usage(SHARED_MEMORY)
        found["shared_gib"], found["shared_free_gib"] = round(shared.total / GIB, 1), round(shared.free / GIB, 1)
    found["disk_free_gib"] = round(shutil.disk_usage(Path.cwd()).free / GIB, 1)
    return found


def _memory_lines() -> dict[str, int]:
    """Read ``/proc/meminfo``, in bytes; empty if there is no such file."""
    path = Path("/proc/meminfo")
    if not path.is_file():
        return {}
    pairs = (line.split(":", 1) for line in path.read_text().splitlines() if line.endswith(" kB"))
    return {name: int(value.split()[0]) * 1024 for name, value in pairs}


def _container_limit() -> int | None:
    """Return the memory limit of the container (cgroup v2) in bytes, if it has one."""
    path = Path("/sys/fs/cgroup/memory.max")
    text = path.read_text().strip() if path.is_file() else "max"
    return int(text) if text.isdigit() else None
