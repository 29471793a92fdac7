"""LLCM's layout: nine visible and eight infrared cameras, training images in lists, test images in camera folders.

The renderer has six cameras, so several of LLCM's share a look: visible camera c looks like the renderer's 1, 2, 4, 5 in
turn, infrared camera c like its 3 and 6 in turn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from lba_cli.data.readers.llcm import CAMERAS, TEST_FOLDERS, TEST_LIST, TRAIN_LISTS
from lba_cli.data.synthetic.jobs import Job
from lba_cli.data.synthetic.layouts.plan import FIRST_PERSON, INFRARED_LOOKS, VISIBLE_LOOKS, Plan, size_of
from lba_cli.data.synthetic.presets import Preset
from lba_cli.vocabulary import MODALITIES, Modality

_PEOPLE = {"tiny": 18, "small": 96}
_MOST_IMAGES = {"tiny": 2, "small": 4}
_TRAIN_FOLDERS: dict[Modality, str] = {"visible": "vis", "infrared": "nir"}
_LOOKS: dict[Modality, tuple[int, ...]] = {"visible": VISIBLE_LOOKS, "infrared": INFRARED_LOOKS}
_ABSENT: dict[Modality, int] = {"visible": 3, "infrared": 4}  # everybody is missing from one camera in so many


def plan_llcm(preset: Preset, seed: int) -> Plan:
    """A third of the people tested with; everybody under several cameras of either kind, in each one or more images."""
    people = range(1, size_of(_PEOPLE, preset, "llcm") + 1)
    trained = [person for person in people if person % 3]
    jobs: list[Job] = []
    lists: dict[Modality, list[str]] = {modality: [] for modality in MODALITIES}
    for person in people:
        for modality in MODALITIES:
            for job in _jobs_of(person, modality, seed, _MOST_IMAGES[preset.name]):
                jobs.append(job)
                if person in trained:
                    lists[modality].append(f"{job.path} {trained.index(person)}\n")
    tested = ",".join(str(person) for person in people if person not in trained)
    files = {TRAIN_LISTS[modality]: "".join(lines).encode() for modality, lines in lists.items()}
    return Plan(tuple(jobs), {**files, TEST_LIST: f"{tested}\n".encode()})


def _jobs_of(person: int, modality: Modality, seed: int, most: int) -> Iterator[Job]:
    """One person's images under the cameras of one kind."""
    taken: Counter[int] = Counter()
    for camera in CAMERAS[modality]:
        if (person // 3 + camera) % _ABSENT[modality] == 0:
            continue
        look = _LOOKS[modality][(camera - 1) % len(_LOOKS[modality])]
        folder = f"{TEST_FOLDERS[modality]}/cam{camera}" if person % 3 == 0 else _TRAIN_FOLDERS[modality]
        for index in range(1, most - (person + camera) % 2 + 1):
            taken[look] += 1
            path = f"{folder}/{person:04d}/{person:04d}_c{camera}_f{index:04d}.jpg"
            yield Job(seed, FIRST_PERSON["llcm"] + person, look, taken[look], path)
