"""One job is one image; a chunk of jobs is what a worker process draws at a time."""

from __future__ import annotations

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


@dataclass(frozen=True)
class Chunk:
    """Jobs to draw into the data set at ``root``."""

    root: Path
    frame: Frame
    jobs: tuple[Job, ...]


def draw_chunk(chunk: Chunk) -> int:
    """Draw the jobs of ``chunk`` to files; the number of images drawn."""
    for job in chunk.jobs:
        _draw(job, chunk.frame, chunk.root)
    return len(chunk.jobs)


def _draw(job: Job, frame: Frame, root: Path) -> None:
    rng = np.random.default_rng((job.seed, job.identity, job.camera, job.index))
    image = render(_person(job.seed, job.identity), job.camera, frame, job.seed, rng)
    path = job.path(root)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, "JPEG", quality=jpeg_quality(job.camera, rng))


@lru_cache(maxsize=64)
def _person(seed: int, identity: int) -> Person:
    return draw_person(seed, identity)
