"""A synthetic data set, from its preset, layout and seed to a folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lba_cli.data.parallel import map_chunks
from lba_cli.data.readers import LAYOUTS
from lba_cli.data.readers.layout import SYNTHETIC_MARK
from lba_cli.data.synthetic.jobs import draw
from lba_cli.data.synthetic.layouts import PLANNERS, Plan
from lba_cli.data.synthetic.presets import PRESETS
from lba_cli.errors import ConfigError, DataError
from lba_cli.files import whole_folder
from lba_cli.outputs import require_new_folder
from lba_cli.reporting import Listener
from lba_cli.vocabulary import Dataset

_NOTE = """\
The people in these images do not exist: every image was drawn by a program.
The folders are laid out as {title}: {described}.
No image of any real data set is in them.

preset: {preset}
layout: {layout}
seed: {seed}
identities: {identities}
images: {visible} visible, {infrared} near infrared

To draw them again: lba prepare synthetic --preset {preset} --layout {layout} --seed {seed}
"""


@dataclass(frozen=True)
class Summary:
    """What was written."""

    folder: Path
    identities: int
    visible: int
    infrared: int

    @property
    def images(self) -> int:
        """All images."""
        return self.visible + self.infrared


def plan(preset: str, seed: int = 0, layout: Dataset = "sysu") -> Plan:
    """Everything that ``preset`` has in ``layout``; draws nothing.

    Raises:
        DataError: there is no such preset.
        ConfigError: ``seed`` is negative, or the layout doesn't come in that size.
    """
    if seed < 0:
        raise ConfigError(f"the seed must be 0 or more, not {seed}")
    if preset not in PRESETS:
        raise DataError(f"there is no preset '{preset}'; choose one of {', '.join(PRESETS)}")
    return PLANNERS[layout](PRESETS[preset], seed)


def write_dataset(
    preset: str,
    output: Path,
    *,
    layout: Dataset = "sysu",
    seed: int = 0,
    workers: int | None = None,
    listener: Listener,
) -> Summary:
    """Draw the data set ``preset`` into the new folder ``output``, which appears whole or not at all.

    The files depend on ``preset``, ``layout`` and ``seed`` alone. ``workers`` is the number of processes that draw (as
    many as there are cores by default; 1 draws in this process). ``layout`` says whose folders and lists are written.
    ``synthetic.json`` marks the data as synthetic, so that every report says so.

    Raises:
        LbaError: ``output`` exists and isn't an empty folder.
        DataError: there is no such preset.
        ConfigError: ``seed`` is negative, ``workers`` is less than 1, or the layout doesn't come in that size.
    """
    planned = plan(preset, seed, layout)
    if workers is not None and workers < 1:
        raise ConfigError(f"the number of workers must be 1 or more, not {workers}")
    require_new_folder(output)
    summary = Summary(output, planned.identities, len(planned.jobs) - planned.infrared, planned.infrared)
    mark = {"preset": preset, "layout": layout, "seed": seed}
    files = {
        **planned.files,
        "README.txt": _note(preset, layout, seed, summary).encode(),
        SYNTHETIC_MARK: json.dumps(mark).encode() + b"\n",
    }
    with whole_folder(output) as root:
        with (
            listener.task("drawing people", total=len(planned.jobs), unit="images") as progress,
            map_chunks(partial(draw, root, PRESETS[preset].frame), planned.jobs, workers=workers) as chunks,
        ):
            for drawn, _ in chunks:
                progress.advance(drawn)
        for name, content in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)
    return summary


def _note(preset: str, layout: Dataset, seed: int, summary: Summary) -> str:
    return _NOTE.format(
        preset=preset,
        layout=layout,
        seed=seed,
        title=LAYOUTS[layout].title,
        described=LAYOUTS[layout].described,
        identities=summary.identities,
        visible=summary.visible,
        infrared=summary.infrared,
    )
