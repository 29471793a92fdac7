"""The plan of a synthetic data set: the images to draw, and the lists to write."""

from collections.abc import Mapping
from dataclasses import dataclass

from lba_cli.errors import ConfigError
from lba_cli.synthetic.cameras import CAMERAS
from lba_cli.synthetic.jobs import Job
from lba_cli.synthetic.presets import Preset

# The renderer's cameras by modality. In a data set with more cameras, several cameras look the same.
VISIBLE_LOOKS = tuple(number for number, camera in CAMERAS.items() if not camera.infrared)
INFRARED_LOOKS = tuple(number for number, camera in CAMERAS.items() if camera.infrared)


@dataclass(frozen=True)
class Plan:
    """The contents of a synthetic data set.

    Attributes:
        jobs: the images to draw.
        files: the content of all other files, by their paths relative to the root.
    """

    jobs: tuple[Job, ...]
    files: dict[str, bytes]

    @property
    def identities(self) -> int:
        """The number of people."""
        return len({job.identity for job in self.jobs})

    @property
    def infrared(self) -> int:
        """The number of infrared images."""
        return sum(job.camera in INFRARED_LOOKS for job in self.jobs)


def size_of(sizes: Mapping[str, int], preset: Preset, layout: str) -> int:
    """Look up the number of people of a preset.

    Args:
        sizes: number of people by the preset's name.
        preset: the preset.
        layout: the layout's name, for the message.

    Raises:
        ConfigError: the layout has no such preset.
    """
    if preset.size not in sizes:
        raise ConfigError(f"the layout '{layout}' has the presets {' and '.join(sizes)}, not '{preset.name}'")
    return sizes[preset.size]
