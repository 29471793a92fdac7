"""A synthetic data set before anything is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lba_cli.errors import ConfigError
from lba_cli.synthetic.cameras import CAMERAS
from lba_cli.synthetic.jobs import Job
from lba_cli.synthetic.presets import Preset

# The renderer's cameras by modality. Data sets with more cameras let several of theirs share a look.
VISIBLE_LOOKS = tuple(number for number, camera in CAMERAS.items() if not camera.infrared)
INFRARED_LOOKS = tuple(number for number, camera in CAMERAS.items() if camera.infrared)


@dataclass(frozen=True)
class Plan:
    """The images to draw, and the content of all other files by their paths relative to the root."""

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


def size_of(sizes: Mapping[str, int], preset: Preset, layout: str) -> int:
    """How many people a layout has in ``preset``.

    Raises:
        ConfigError: the layout doesn't come in that size.
    """
    if preset.name not in sizes:
        raise ConfigError(f"the layout '{layout}' comes in the presets {' and '.join(sizes)}, not in '{preset.name}'")
    return sizes[preset.name]
