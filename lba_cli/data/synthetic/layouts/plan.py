"""What a layout consists of, before anything is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lba_cli.data.synthetic.cameras import CAMERAS
from lba_cli.data.synthetic.jobs import Job
from lba_cli.data.synthetic.presets import Preset
from lba_cli.errors import ConfigError
from lba_cli.vocabulary import Dataset

# The first of a layout's people: no two layouts of a seed show the same person, so that each is new to the others' networks.
FIRST_PERSON: dict[Dataset, int] = {"sysu": 0, "regdb": 1_000_000, "llcm": 2_000_000, "folder": 3_000_000}
VISIBLE_LOOKS = tuple(number for number, camera in CAMERAS.items() if not camera.infrared)
INFRARED_LOOKS = tuple(number for number, camera in CAMERAS.items() if camera.infrared)


@dataclass(frozen=True)
class Plan:
    """A data set to draw: its images, and the content of its other files by their paths relative to the root."""

    jobs: tuple[Job, ...]
    files: dict[str, bytes]

    @property
    def identities(self) -> int:
        """How many people there are."""
        return len({job.identity for job in self.jobs})

    @property
    def infrared(self) -> int:
        """How many of the images are infrared."""
        return sum(job.camera in INFRARED_LOOKS for job in self.jobs)


def size_of(sizes: Mapping[str, int], preset: Preset, layout: Dataset) -> int:
    """How many people a layout has in ``preset``.

    Raises:
        ConfigError: the layout doesn't come in that size.
    """
    if preset.name not in sizes:
        raise ConfigError(
            f"the layout '{layout}' comes in the presets {' and '.join(sizes)}; '{preset.name}' is SYSU-MM01's size"
        )
    return sizes[preset.name]
