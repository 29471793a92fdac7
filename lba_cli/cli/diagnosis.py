"""Collect the facts that ``lba doctor`` shows. If a fact can't be determined, the error is shown in its place."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module, metadata
from pathlib import Path
from typing import TYPE_CHECKING

from lba_cli import __version__

if TYPE_CHECKING:
    from lba_cli.datasets import DatasetSpec

Value = str | int | float | bool | list[str] | None
Section = dict[str, Value]
Facts = dict[str, Section]

PACKAGE = "lba-cli"
NOT_AN_EXTRA_FOR_USERS = "dev"
# Packages with binaries that may not match each other or the machine. Only an import shows whether they work.
IMPORTED = ("torch", "torchvision")
REQUIREMENT = re.compile(r"([\w.-]+)(?:.*extra\s*==\s*[\"']([\w.-]+))?")
CPU_FEATURES = {"AVX2": "avx2", "AVX512": "avx512f", "AVX512_BF16": "avx512_bf16", "AMX_BF16": "amx_bf16"}
SHARED_MEMORY = Path("/dev/shm")
GIB = 2**30


def diagnose() -> Facts:
    """Return the facts that a bug report needs, as {section: {name: value}}.

    A section that can't be determined contains only the fact ``problem``.
    """
    sections: dict[str, Callable[[], Section]] = {
        "versions": versions,
        "platform": operating_system,
        "cpu": cpu,
        "gpus": gpus,
        "memory": memory,
        "extras": extras,
        "imagenet_weights": imagenet_weights,
        "data_sets": data_sets,
    }
    return {name: _attempt(section) for name, section in sections.items()}


def _attempt(section: Callable[[], Section]) -> Section:
    try:
        return section()
    except Exception as problem:  # a broken library can raise anything
        return {"problem": _describe(problem)}


def _attempt_fact(fact: Callable[[], Value]) -> Value:
    try:
        return fact()
    except Exception as problem:
        return _describe(problem)


def _describe(problem: Exception) -> str:
    return " ".join(f"{type(problem).__name__}: {problem}".split())


def versions() -> Section:
    """Return the versions of ``lba``, Python, the packages that ``lba`` needs, and PyTorch's CUDA and cuDNN."""
    needed = dict.fromkeys((*IMPORTED, *(name for name, extra in _requirements() if not extra)))
    found: Section = {"lba": __version__, "Python": platform.python_version()}
    return found | {name: _version(name) for name in needed} | _attempt(_cuda_versions)


def _version(name: str) -> str:
    """Return the version of a package. For packages in :data:`IMPORTED`, the error is added if the import fails."""
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"
    if name in IMPORTED:
        try:
            import_module(name)
        except Exception as problem:
            return f"{version}, but its import fails: {_describe(problem)}"
    return version


def _cuda_versions() -> Section:
    import torch

    cudnn = torch.backends.cudnn.version() if torch.backends.cudnn.is_available() else None  # type: ignore[no-untyped-call]
    return {"CUDA": torch.version.cuda, "cuDNN": cudnn}


def operating_system() -> Section:
    """Return the operating system, the machine's type, and the paths of Python, the package and the current folder."""
    return {
        "system": platform.platform(),
        "machine": platform.machine(),
        "python": sys.executable,
        "package": str(Path(__file__).parents[1]),
        "folder": str(Path.cwd()),
    }


def cpu() -> Section:
    """Return the CPU's model and cores, the instruction sets that matter for speed, and PyTorch's threads and precision."""
    from lba_cli.data.parallel import cores

    facts = _entries(Path("/proc/cpuinfo"))
    known = facts.get("flags", facts.get("Features", "")).split()
    found: Section = {
        "model": facts.get("model name") or platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "usable_cores": cores(),
    }
    if known:
        found |= {name: flag in known for name, flag in CPU_FEATURES.items()}
    return found | _attempt(_arithmetic)


def _arithmetic() -> Section:
    import torch

    from lba_cli.compute import resolve_precision

    automatic = resolve_precision("auto", torch.device("cpu"))
    return {"torch_threads": torch.get_num_threads(), "train.precision auto": automatic}


def gpus() -> Section:
    """Return text about each CUDA device: its name, memory, compute capability and the precision that ``auto`` takes."""
    import torch

    count = torch.cuda.device_count()
    return {f"cuda:{number}": _attempt_fact(partial(_gpu, number)) for number in range(count)}


def _gpu(number: int) -> str:
    import torch

    from lba_cli.compute import resolve_precision

    gpu = torch.cuda.get_device_properties(number)
    with torch.cuda.device(number):
        bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
        automatic = resolve_precision("auto", torch.device("cuda", number))
    return (
        f"{gpu.name}, {gpu.total_memory / GIB:.1f} GiB, compute capability {gpu.major}.{gpu.minor}, "
        f"bfloat16: {'yes' if bfloat16 else 'no'}, train.precision auto: {automatic}"
    )


def memory() -> Section:
    """Return the sizes of the main memory and the shared memory, and the free disk space for the current folder, in GiB.

    If a container limits the main memory, the limit is included.
    """
    sizes: dict[str, int] = {}
    lines = _entries(Path("/proc/meminfo"))
    for name, line in (("total_gib", "MemTotal"), ("available_gib", "MemAvailable")):
        if line in lines:
            sizes[name] = int(lines[line].removesuffix(" kB")) * 1024
    limit = Path("/sys/fs/cgroup/memory.max")  # the memory limit of a container
    if limit.is_file() and (text := limit.read_text().strip()).isdigit():
        sizes["container_limit_gib"] = int(text)
    if SHARED_MEMORY.is_dir():
        shared = shutil.disk_usage(SHARED_MEMORY)
        sizes |= {"shared_gib": shared.total, "shared_free_gib": shared.free}
    sizes["disk_free_gib"] = shutil.disk_usage(Path.cwd()).free
    return {name: round(size / GIB, 1) for name, size in sizes.items()}


def _entries(path: Path) -> dict[str, str]:
    """Return {name: value} of the ``name: value`` lines before the first blank line; empty if there is no such file."""
    if not path.is_file():
        return {}
    lines = path.read_text(errors="replace").split("\n\n")[0].splitlines()
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    return {name.strip(): value.strip() for name, value in pairs}


def extras() -> Section:
    """Return the versions of each extra's packages, and the command that installs missing packages."""
    packages: dict[str, list[str]] = {}
    for name, extra in _requirements():
        if extra not in ("", NOT_AN_EXTRA_FOR_USERS):
            packages.setdefault(extra, []).append(name)
    if not packages:
        return {"problem": f"unknown, because {PACKAGE} is not installed: install it with pip install ."}
    return {extra: _extra(extra, names) for extra, names in packages.items()}


def _extra(extra: str, names: list[str]) -> str:
    found = {name: _version(name) for name in names}
    text = ", ".join(f"{name} {version}" for name, version in found.items())
    missing = "not installed" in found.values()
    return f"{text}; to install: pip install '.[{extra}]' in the source folder" if missing else text


def _requirements() -> list[tuple[str, str]]:
    """Return (package, extra) for every declared dependency; the extra is "" for packages that are always needed."""
    try:
        declared = metadata.requires(PACKAGE) or []
    except metadata.PackageNotFoundError:
        return []
    return [(found[1], found[2] or "") for found in map(REQUIREMENT.match, declared) if found]


def imagenet_weights() -> Section:
    """Return the folder of downloaded weights, and the list of backbones whose ImageNet weights are in it."""
    import torch
    from torchvision.models import get_model_weights

    from lba_cli.vocabulary import BACKBONES

    folder = Path(torch.hub.get_dir()) / "checkpoints"
    files = {name: get_model_weights(name)["IMAGENET1K_V1"].url.rsplit("/", 1)[1] for name in BACKBONES}
    return {"folder": str(folder), "found": [name for name, file in files.items() if (folder / file).is_file()]}


def data_sets() -> Section:
    """Return text about each data set: its usual folder, whether the data set is there, and the stores beside it."""
    from lba_cli.datasets import DATASETS

    specs = [spec for spec in DATASETS.values() if spec.default_root]
    return {spec.name: _attempt_fact(partial(_places, spec)) for spec in specs}


def _places(spec: DatasetSpec) -> str:
    from lba_cli.data.store import is_store

    root = Path(spec.default_root)
    state = "no such folder"
    if root.is_dir():
        state = "found" if spec.layout.looks_like(root) else "a folder of another layout"
    stores = [f"store {path}" for path in sorted(root.parent.glob(f"{root.name}-*x*")) if is_store(path)]
    return "; ".join([f"{root}: {state}", *stores])
