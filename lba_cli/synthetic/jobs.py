"""One job is one image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from lba_cli.synthetic.people import Person, draw_person
from lba_cli.synthetic.rendering import Frame, jpeg_quality, render


@dataclass(frozen=True)
class Job:
    """One image to draw.

    Attributes:
        seed: of the data set.
        identity: who, among all people of that seed.
        camera: which of the renderer's six cameras sees them.
        index: from 1, within the identity and the camera.
        path: relative to the data set's root; its ending says the format.
    """

    seed: int
    identity: int
    camera: int
    index: int
    path: str


def draw(root: Path, frame: Frame, jobs: Sequence[Job]) -> None:
    """Draw ``jobs`` to files of the data set at ``root``."""
    for job in jobs:
        rng = np.random.default_rng((job.seed, job.identity, job.camera, job.index))
        image = render(_person(job.seed, job.identity), job.camera, frame, job.seed, rng)
        path = root / job.path
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".jpg":
            image.save(path, quality=jpeg_quality(job.camera, rng))
        else:
            image.save(path)


@lru_cache(maxsize=64)
def _person(seed: int, identity: int) -> Person:
    return draw_person(seed, identity)
