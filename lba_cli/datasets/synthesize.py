"""Write synthetic people in the layout of any data set."""

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lba_cli.data.parallel import map_chunks
from lba_cli.datasets.layout import SYNTHETIC_MARK
from lba_cli.datasets.spec import DatasetSpec
from lba_cli.errors import ConfigError, DataError
from lba_cli.files import whole_folder
from lba_cli.outputs import require_new_folder
from lba_cli.reporting import Listener
from lba_cli.synthetic import PRESETS, Plan
from lba_cli.synthetic.jobs import draw

_NOTE = """\
The people in these images do not exist: every image was drawn by a program.
The folders are laid out as {title}: {described}.
No image of any real data set is in them.

preset: {preset}
layout: {layout}
seed: {seed}
identities: {identities}
images: {visible} visible, {infrared} near infrared

To draw them again: lba prepare synthetic --preset {preset} --layout {layout} --seed {seed}{option}
"""


@dataclass(frozen=True)
class Summary:
    """The folder of a synthetic data set, and its numbers of people and images."""

    folder: Path
    identities: int
    visible: int
    infrared: int

    @property
    def images(self) -> int:
        """The number of all images."""
        return self.visible + self.infrared


def plan_synthetic(spec: DatasetSpec, preset: str, seed: int = 0) -> Plan:
    """Plan the images and lists of a synthetic data set without drawing anything.

    Raises:
        DataError: there is no such preset.
        ConfigError: ``seed`` is negative, or there are no synthetic people in this layout or of this size.
    """
    if seed < 0:
        raise ConfigError(f"the seed must be 0 or more, not {seed}")
    if preset not in PRESETS:
        raise DataError(f"there is no preset '{preset}'; choose one of {', '.join(PRESETS)}")
    if spec.synthetic is None:
        raise ConfigError(f"synthetic people can't be written in the layout '{spec.name}'; choose another --layout")
    return spec.synthetic(PRESETS[preset], seed)


def write_synthetic(
    spec: DatasetSpec,
    preset: str,
    output: Path,
    *,
    seed: int = 0,
    truth: bool = False,
    workers: int | None = None,
    listener: Listener,
) -> Summary:
    """Draw a synthetic data set into the new folder ``output``, which appears only when it is complete.

    The files depend only on the layout, ``preset`` and ``seed``. ``synthetic.json`` marks the data as synthetic, so that
    every report says so.

    Args:
        spec: the data set whose folders and lists are written.
        preset, seed: ``tiny``, ``demo``, ``small``, ``loose`` or ``sysu``, and the random seed.
        truth: whether a map of the body is written for every image, see :mod:`lba_cli.synthetic.truth_files`. It changes no image.
        output: the folder to make.
        workers: number of processes; one per core if None. With 1, everything runs in this process.
        listener: receives the progress.

    Raises:
        LbaError: ``output`` exists and isn't an empty folder, ``workers`` is less than 1, or :func:`plan_synthetic` raises an error.
    """
    plan = plan_synthetic(spec, preset, seed)
    if workers is not None and workers < 1:
        raise ConfigError(f"the number of workers must be 1 or more, not {workers}")
    require_new_folder(output)
    summary = Summary(output, plan.identities, len(plan.jobs) - plan.infrared, plan.infrared)
    mark = {"preset": preset, "layout": spec.name, "seed": seed}
    files = {
        **plan.files,
        "README.txt": _NOTE.format(
            **mark, **vars(summary), **vars(spec.layout), option=" --truth" if truth else ""
        ).encode(),
        SYNTHETIC_MARK: json.dumps(mark).encode() + b"\n",
    }
    with whole_folder(output) as root:
        with (
            listener.task("drawing people", total=len(plan.jobs), unit="images") as progress,
            map_chunks(partial(draw, root, PRESETS[preset].frame, truth=truth), plan.jobs, workers=workers) as chunks,
        ):
            for drawn, _ in chunks:
                progress.advance(drawn)
        for name, content in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)
    return summary
