"""The sizes of synthetic data sets."""

from dataclasses import dataclass

from lba_cli.synthetic.rendering import Frame


@dataclass(frozen=True)
class Preset:
    """The size of a synthetic data set. Each layout decides the numbers of people and images.

    Attributes:
        name: the preset's name.
        size: ``tiny``, ``demo``, ``small`` or ``sysu``: the numbers of people and images.
        frame: the size of the images, and how loosely they are cut out.
    """

    name: str
    size: str
    frame: Frame


PRESETS = {
    preset.name: preset
    for preset in (
        Preset("tiny", "tiny", Frame((44, 52), (92, 100), 2)),
        Preset("demo", "demo", Frame((66, 78), (138, 150), 2)),
        Preset("small", "small", Frame((66, 78), (138, 150), 2)),
        Preset("loose", "small", Frame((66, 78), (138, 150), 2, loose=True)),
        Preset("sysu", "sysu", Frame((110, 140), (280, 330), 2)),
    )
}
