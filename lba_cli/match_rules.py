"""Which gallery images a query ignores, and what its CMC counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class MatchRules:
    """PLACEHOLDER."""

    ignore_camera_pairs: tuple[tuple[int, int], ...] = ()
    ignore_same_identity_and_camera: bool = False
    cmc_counts: Literal["identities", "images"] = "images"
