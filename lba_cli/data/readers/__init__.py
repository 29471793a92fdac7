"""One reader a data set: a root folder -> a Listing. Nobody after them parses a file name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lba_cli.data.readers.sysu import read_sysu
from lba_cli.data.samples import Listing

READERS: dict[str, Callable[[Path], Listing]] = {"sysu": read_sysu}

__all__ = ["READERS", "read_sysu"]
