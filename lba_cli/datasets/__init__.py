"""The data sets that the toolkit knows. ``docs/extending.md`` shows how to add another one."""

import difflib
from collections.abc import Iterable
from pathlib import Path

from lba_cli.data.samples import EvaluationSet, Listing
from lba_cli.datasets.folder import FOLDER
from lba_cli.datasets.layout import spelling_hint
from lba_cli.datasets.llcm import LLCM
from lba_cli.datasets.misplaced import better_root, lacking
from lba_cli.datasets.regdb import REGDB
from lba_cli.datasets.spec import DatasetOptions, DatasetSpec, Draw, PublishedResult, Setting
from lba_cli.datasets.sysu import SYSU
from lba_cli.errors import ConfigError, DataError

AUTO = "auto"
DATASETS: dict[str, DatasetSpec] = {spec.name: spec for spec in (SYSU, REGDB, LLCM, FOLDER)}
DEFAULT_DATASET = SYSU.name  # for commands that need one and aren't given any


def register(spec: DatasetSpec) -> None:
    """Make a data set known to commands and configs, under its name; a data set of the same name is replaced."""
    DATASETS[spec.name] = spec


def get_dataset(name: str) -> DatasetSpec:
    """Return the data set called ``name``; raises a ConfigError that names the nearest valid name if there is none."""
    if name not in DATASETS:
        raise ConfigError(f"there is no data set '{name}'; {nearest(name, DATASETS)}")
    return DATASETS[name]


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return a hint for a misspelled name: the most similar valid name, or else all of them."""
    names = list(valid)
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean '{close[0]}'?" if close else f"valid: {', '.join(names)}"


def detect(root: Path) -> DatasetSpec:
    """Return the data set that the folder ``root`` contains, judged by its layout.

    Files and folders may be missing, or have other spellings. Reading the data set then raises an error that names them.

    Raises:
        DataError: the folder looks like no data set, or like several, or its parts are in a folder nearby.
    """
    found = [spec for spec in DATASETS.values() if spec.layout.looks_like(root)]
    if len(found) > 1:
        names = ", ".join(spec.name for spec in found)
        raise DataError(
            f"{root}: has the folders of more than one data set ({names}): say which it is with "
            f"--set data.dataset={found[0].name}, or keep each in a folder of its own"
        )
    if found and (root.is_file() or not found[0].layout.missing(root)):
        return found[0]
    respelled = [spec for spec in DATASETS.values() if not lacking(root, spec.layout.needed)]
    if len(respelled) == 1:
        return respelled[0]
    places = {spec.title: better_root(root, spec.layout.needed) for spec in DATASETS.values()}
    nearby = "".join(
        f"{title[0].upper()}{title[1:]} seems to be nearby. {place}" for title, place in places.items() if place
    )
    if found and not nearby:
        return found[0]
    state = "no known data set" if root.exists() else "no such folder"
    if nearby:
        raise DataError(f"{root}: {state}. {nearby}".rstrip())
    known = "; ".join(f"{spec.title} ({spec.layout.described})" for spec in DATASETS.values())
    hint = f"{spelling_hint(root)}To try lba without a data set: lba prepare synthetic --output {root}"
    raise DataError(f"{root}: {state}; looked for {known}. {hint}".rstrip())


def read_dataset(root: Path, name: str = AUTO) -> Listing:
    """List the images of the data set called ``name`` at ``root``, with its default options.

    Raises:
        DataError: there is no such data set, or it is malformed.
        ConfigError: no data set has this name.
    """
    spec = find_spec(root, name)
    return spec.read(root, spec.options())


def find_spec(root: Path, name: str) -> DatasetSpec:
    """Return the data set called ``name``; for ``auto``, see :func:`detect`. Raises the errors of :func:`read_dataset`."""
    return detect(root) if name == AUTO else get_dataset(name)


__all__ = [
    "AUTO",
    "DATASETS",
    "DEFAULT_DATASET",
    "DatasetOptions",
    "DatasetSpec",
    "Draw",
    "EvaluationSet",
    "PublishedResult",
    "Setting",
    "detect",
    "find_spec",
    "get_dataset",
    "nearest",
    "read_dataset",
    "register",
]
