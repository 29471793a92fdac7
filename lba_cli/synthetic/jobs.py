"""Draw the images of synthetic people: one job per image."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from lba_cli.synthetic.people import Person, draw_person
from lba_cli.synthetic.rendering import Frame, jpeg_quality, render
from lba_cli.synthetic.truth import truth_of
from lba_cli.synthetic.truth_files import write_truth


@dataclass(frozen=True)
class Job:
    """One image to draw.

    Attributes:
        seed: the data set's seed.
        identity: the person's number among all people of that seed.
        camera: the renderer's camera, 1 to 6.
        index: the image's number for this identity and camera, from 1.
        path: the file, relative to the data set's root; its suffix decides the format.
        copy: the path of a copy of the file in the data set; empty without a copy.
    """

    seed: int
    identity: int
    camera: int
    index: int
    path: str
    copy: str = ""


def draw(root: Path, frame: Frame, jobs: Sequence[Job], *, truth: bool = False) -> None:
    """Draw the images of ``jobs``, and save them below ``root``, each with a truth map if ``truth`` is true.

    The pixels of an image depend only on its job and ``frame``.
    """
    for job in jobs:
        rng = np.random.default_rng((job.seed, job.identity, job.camera, job.index))
        person = _person(job.seed, job.identity)
        rendering = render(person, job.camera, frame, job.seed, rng)
        image = rendering.image
        path = root / job.path
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".jpg":
            image.save(path, quality=jpeg_quality(job.camera, rng))
        else:
            image.save(path)
        if job.copy:
            (root / job.copy).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, root / job.copy)
        if truth:
            write_truth(root, job.path, truth_of(rendering, person.build.stature))


@lru_cache(maxsize=64)
def _person(seed: int, identity: int) -> Person:
    return draw_person(seed, identity)
