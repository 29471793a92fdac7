"""The figures that the method's authors published: shown beside measured ones on request, always labelled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lba_cli.evaluation.protocols import Setting
from lba_cli.vocabulary import Dataset


@dataclass(frozen=True)
class Published:
    """One row of a published table.

    Attributes:
        what: whose figures they are.
        benchmark: of which data set.
        dataset: its name.
        setting: in which they were measured.
        figures: as fractions, of those that were published.
    """

    what: str
    benchmark: Dataset
    dataset: str
    setting: Setting
    figures: Mapping[str, float]

    @property
    def label(self) -> str:
        """What a table calls the row."""
        return f"published: {self.what} ({self.dataset})"

    def as_json(self) -> dict[str, Any]:
        """The row as plain values."""
        return {
            "published": self.what,
            "dataset": self.dataset,
            "mode": self.setting.mode,
            "shots": self.setting.shots,
            "protocol": self.setting.protocol,
            "figures": dict(self.figures),
        }


_SYSU = Setting("all-search", "single", "community")
_LLCM = Setting("infrared-to-visible", "single", "community")

PUBLISHED = (
    Published("baseline, retrained", "sysu", "SYSU-MM01", _SYSU, {"rank1": 0.5043, "mAP": 0.4954}),
    Published("full, retrained", "sysu", "SYSU-MM01", _SYSU, {"rank1": 0.5541, "mAP": 0.5414}),
    Published("full, released weights", "sysu", "SYSU-MM01", _SYSU, {"rank1": 0.5631, "mAP": 0.5522}),
    Published("full", "llcm", "LLCM", _LLCM, {"rank1": 0.4276, "mAP": 0.5095}),
)


def published_for(benchmark: Dataset, settings: Iterable[Setting]) -> tuple[Published, ...]:
    """The published rows of a data set in any of ``settings``."""
    wanted = set(settings)
    return tuple(row for row in PUBLISHED if row.benchmark == benchmark and row.setting in wanted)
