"""One job is one image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from lba_cli.data.synthetic.people import Person, draw_person
from lba_cli.data.synthetic.rendering import Frame, jpeg_quality, render


@dataclass(frozen=True)
class Job:
    """One image to draw; ``index`` counts from 1 within the identity and the camera."""

    seed: int
    identity: int
    camera: int
    index: int

    def path(self, root: Path) -> Path:
        """Where the image lies under the data set's ``root``."""
        return root / f"cam{self.camera}" / f"{self.identity:04d}" / f"{self.index:04d}.jpg"


def draw(root: Path, frame: Frame, jobs: Sequence[Job]) -> None:
    """Draw ``jobs`` to files of the data set at ``root``."""
    for job in jobs:
        rng = np.random.default_rng((job.seed, job.identity, job.camera, job.index))
        image = render(_person(job.seed, job.identity), job.camera, frame, job.seed, rng)
        path = job.path(root)
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path, "JPEG", quality=jpeg_quality(job.camera, rng))


@lru_cache(maxsize=64)
def _person(seed: int, identity: int) -> Person:
    return draw_person(seed, identity)
