"""The sizes that synthetic data sets come in."""

from __future__ import annotations

from dataclasses import dataclass

from lba_cli.synthetic.rendering import Frame


@dataclass(frozen=True)
class Preset:
    """A size: its name, and how large its images are. Each layout decides how many people and images it has."""

    name: str
    frame: Frame


PRESETS = {
    preset.name: preset
    for preset in (
        Preset("tiny", Frame((44, 52), (92, 100), 2)),
        Preset("small", Frame((66, 78), (138, 150), 2)),
        Preset("sysu", Frame((110, 140), (280, 330), 2)),
    )
}
