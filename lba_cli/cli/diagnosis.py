"""The facts that ``lba doctor`` shows. A fact that can't be found out says why, and never stops the others."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module, metadata
from pathlib import Path
from typing import TYPE_CHECKING

from lba_cli import __version__
from lba_cli.cli import machine
from lba_cli.cli.machine import Section, Value
from lba_cli.cli.options import CONFIG_VARIABLE, CommonOptions, find_config

if TYPE_CHECKING:
    from lba_cli.datasets import DatasetSpec

Facts = dict[str, Section]

PACKAGE = "lba-cli"
NOT_AN_EXTRA_FOR_USERS = "dev"
# Packages whose binaries may not fit together or the machine: only an import shows whether they work.
IMPORTED = ("torch", "torchvision")


def diagnose(common: CommonOptions) -> Facts:
    """Collect everything that a bug report should say.

    Args:
        common: the command's ``--config`` and ``--set``, which are resolved as by any other command.

    Returns:
        Sections of named facts. In a section that failed, ``problem`` says why.
    """
    sections: dict[str, Callable[[], Section]] = {
        "versions": versions,
        "platform": operating_system,
        "cpu": machine.cpu,
        "gpus": machine.gpus,
        "memory": machine.memory,
        "extras": extras,
        "imagenet_weights": imagenet_weights,
        "data_sets": data_sets,
        "config": lambda: config(common),
        "newest_run": newest_run,
    }
    return {name: attempt(section) for name, section in sections.items()}


def attempt(section: Callable[[], Section]) -> Section:
    """Collect a section, or describe the error that prevented it."""
    try:
        return section()
    except Exception as problem:  # a broken library can raise anything
        return {"problem": describe(problem)}


def attempt_fact(fact: Callable[[], Value]) -> Value:
    """Find out one fact, or describe the error that prevented it."""
    try:
        return fact()
    except Exception as problem:
        return describe(problem)


def describe(problem: Exception) -> str:
    """Name an error in one line."""
    return " ".join(f"{type(problem).__name__}: {problem}".split())


def versions() -> Section:
    """Return the versions of ``lba``, Python and the packages it needs, and of PyTorch's CUDA and cuDNN."""
    found: Section = {"lba": __version__, "Python": platform.python_version()}
    names = dict.fromkeys((*IMPORTED, *(name for name, extra in _requirements() if not extra)))
    found |= {name: _version(name) for name in names}
    return found | attempt(_cuda_versions)


def _version(name: str) -> str:
    """Return the version of a package, with the error if its import fails."""
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"
    if name in IMPORTED:
        try:
            import_module(name)
        except Exception as problem:
            return f"{version}, but its import fails: {describe(problem)}"
    return version


def _cuda_versions() -> Section:
    import torch

    cudnn = torch.backends.cudnn.version() if torch.backends.cudnn.is_available() else None  # type: ignore[no-untyped-call]
    return {"CUDA": torch.version.cuda, "cuDNN": cudnn}


def operating_system() -> Section:
    """Return the operating system, and where Python and the package are."""
    return {
        "system": platform.platform(),
        "machine": platform.machine(),
        "python": sys.executable,
        "package": str(Path(__file__).parents[1]),
        "folder": str(Path.cwd()),
    }


def extras() -> Section:
    """Return the versions of each extra's packages, and the command that installs what is missing."""
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
    return f"{text}; to install: pip install '.[{extra}]' in the sources" if missing else text


def _requirements() -> list[tuple[str, str]]:
    """Return the declared dependencies, each with the extra that needs it; empty for those that are always needed."""
    try:
        declared = metadata.requires(PACKAGE) or []
    except metadata.PackageNotFoundError:
        return []
    found = []
    for line in declared:
        name = re.match(r"[\w.-]+", line)
        extra = re.search(r"extra\s*==\s*[\"']([\w.-]+)", line)
        if name:
            found.append((name.group(), extra.group(1) if extra else ""))
    return found


def imagenet_weights() -> Section:
    """Return the folder of downloaded weights, and the backbones whose ImageNet weights are there."""
    import torch
    from torchvision.models import get_model_weights

    from lba_cli.vocabulary import BACKBONES

    folder = Path(torch.hub.get_dir()) / "checkpoints"
    files = {name: get_model_weights(name)["IMAGENET1K_V1"].url.rsplit("/", 1)[1] for name in BACKBONES}
    return {"folder": str(folder), "found": [name for name, file in files.items() if (folder / file).is_file()]}


def data_sets() -> Section:
    """Return for each data set whether it is in its usual folder, and the stores beside it."""
    from lba_cli.datasets import DATASETS

    specs = [spec for spec in DATASETS.values() if spec.default_root]
    return {spec.name: attempt_fact(partial(_places, spec)) for spec in specs}


def _places(spec: DatasetSpec) -> str:
    from lba_cli.data.store import is_store

    root = Path(spec.default_root)
    state = "no such folder"
    if root.is_dir():
        state = "found" if spec.layout.looks_like(root) else "a folder of another layout"
    stores = [str(path) for path in sorted(root.parent.glob(f"{root.name}-*x*")) if is_store(path)]
    return "; ".join([f"{root}: {state}", *(f"store {store}" for store in stores)])


def config(common: CommonOptions) -> Section:
    """Return the config file that commands read here, and the main config keys or the error in the configuration."""
    found: Section = {"file": None}
    if file := common.config_file or find_config():
        default = f"${CONFIG_VARIABLE}" if os.environ.get(CONFIG_VARIABLE) else "the current folder"
        found = {"file": str(file), "named_by": "--config" if common.config_file else default}
    try:
        resolved = common.load()
    except Exception as problem:
        return {**found, "problem": describe(problem)}
    return {
        **found,
        "data.root": resolved.data.root,
        "train.method": resolved.train.method,
        "train.precision": resolved.train.precision,
        "run.device": resolved.run.device,
    }


def newest_run() -> Section:
    """Return the run that commands use when no checkpoint is named."""
    from datetime import datetime

    from lba_cli.training.run_folder import runs_by_age

    run = next(runs_by_age(), None)
    if run is None:
        return {"folder": None}
    written = datetime.fromtimestamp(run.last.stat().st_mtime)
    return {
        "folder": str(run.path),
        "last_checkpoint": f"{written:%Y-%m-%d %H:%M}",
        "best_checkpoint": run.best.is_file(),
        "epochs": attempt_fact(lambda: len(run.records())),
    }
