"""A user's own folders: ``visible`` and ``infrared`` / a name / images, and some people whom only one modality shows."""

from __future__ import annotations

from collections.abc import Iterator

from lba_cli.data.synthetic.jobs import Job
from lba_cli.data.synthetic.layouts.plan import FIRST_PERSON, INFRARED_LOOKS, VISIBLE_LOOKS, Plan, size_of
from lba_cli.data.synthetic.presets import Preset
from lba_cli.vocabulary import MODALITIES, Modality

_PEOPLE = {"tiny": 24, "small": 80}
_LONELY: dict[str, tuple[Modality, ...]] = {
    "tiny": ("visible", "visible", "infrared"),
    "small": ("visible", "visible", "visible", "infrared", "infrared", "infrared"),
}
_FEWEST_IMAGES = {"tiny": 2, "small": 4}
_NAMES_TELL_CAMERAS = {"tiny": True, "small": False}
_LOOKS: dict[Modality, tuple[int, ...]] = {"visible": VISIBLE_LOOKS[:2], "infrared": INFRARED_LOOKS}
_SUFFIXES: dict[Modality, str] = {"visible": ".jpg", "infrared": ".png"}


def plan_folder(preset: Preset, seed: int) -> Plan:
    """People with names that have a blank in them, two cameras of either kind; nothing says who is trained on."""
    count = size_of(_PEOPLE, preset, "folder")
    jobs = [
        job
        for person in range(1, count + 1)
        for modality in MODALITIES
        for job in _jobs_of(person, f"person {person:03d}", modality, seed, preset)
    ]
    for place, modality in enumerate(_LONELY[preset.name], start=1):
        jobs += _jobs_of(count + place, f"passer-by {place:02d}", modality, seed, preset)
    return Plan(tuple(jobs), {})


def _jobs_of(person: int, name: str, modality: Modality, seed: int, preset: Preset) -> Iterator[Job]:
    number = 0
    for camera in _LOOKS[modality]:
        for index in range(1, _FEWEST_IMAGES[preset.name] + (person + camera) % 2 + 1):
            number += 1
            told = f"_c{camera}" if _NAMES_TELL_CAMERAS[preset.name] else ""
            path = f"{modality}/{name}/{name}{told}_{number:04d}{_SUFFIXES[modality]}"
            yield Job(seed, FIRST_PERSON["folder"] + person, camera, index, path)
