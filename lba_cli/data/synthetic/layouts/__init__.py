"""One file a layout: which images and which other files a synthetic data set has on disk."""

from __future__ import annotations

from collections.abc import Callable

from lba_cli.data.synthetic.layouts.folder import plan_folder
from lba_cli.data.synthetic.layouts.llcm import plan_llcm
from lba_cli.data.synthetic.layouts.plan import Plan
from lba_cli.data.synthetic.layouts.regdb import plan_regdb
from lba_cli.data.synthetic.layouts.sysu import plan_sysu
from lba_cli.data.synthetic.presets import Preset
from lba_cli.vocabulary import Dataset

PLANNERS: dict[Dataset, Callable[[Preset, int], Plan]] = {
    "sysu": plan_sysu,
    "regdb": plan_regdb,
    "llcm": plan_llcm,
    "folder": plan_folder,
}

__all__ = ["PLANNERS", "Plan"]
