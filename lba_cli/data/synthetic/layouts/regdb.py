"""RegDB's layout: ten images of everybody under one visible and one infrared camera, and ten splits as lists in ``idx``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lba_cli.data.readers.regdb import FOLDERS, TRIALS, list_name
from lba_cli.data.synthetic.jobs import Job
from lba_cli.data.synthetic.layouts.plan import FIRST_PERSON, Plan, size_of
from lba_cli.data.synthetic.presets import Preset
from lba_cli.vocabulary import MODALITIES, PARTS, Modality, Part

_PEOPLE = {"tiny": 24, "small": 96}
_IMAGES = 10
_LOOKS: dict[Modality, int] = {"visible": 4, "infrared": 6}  # both outdoors


def plan_regdb(preset: Preset, seed: int) -> Plan:
    """``Visible`` and ``Thermal`` / person / images, and the 40 lists: half of the people trained on, half tested with."""
    people = range(1, size_of(_PEOPLE, preset, "regdb") + 1)
    jobs = tuple(
        Job(seed, FIRST_PERSON["regdb"] + person, _LOOKS[modality], index, _path(modality, person, index))
        for person in people
        for modality in MODALITIES
        for index in range(1, _IMAGES + 1)
    )
    lists = {}
    for trial in TRIALS:
        order = np.random.default_rng((seed, 9_000_001, trial)).permutation(people).tolist()
        halves: dict[Part, list[int]] = {"train": order[: len(order) // 2], "test": order[len(order) // 2 :]}
        for part in PARTS:
            for modality in MODALITIES:
                lists[list_name(part, modality, trial)] = _list(sorted(halves[part]), modality)
    return Plan(jobs, lists)


def _path(modality: Modality, person: int, index: int) -> str:
    return f"{FOLDERS[modality]}/{person}/walk_{FOLDERS[modality][0].lower()}_{index:05d}_{person}.bmp"


def _list(people: Sequence[int], modality: Modality) -> bytes:
    """A line an image: its path and its person's label, which counts from 0."""
    lines = [
        f"{_path(modality, person, index)} {label}\n"
        for label, person in enumerate(people)
        for index in range(1, _IMAGES + 1)
    ]
    return "".join(lines).encode()
