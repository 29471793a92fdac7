"""What is written to disk: images, lists of identities, permutations and a note, as SYSU-MM01 has them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.io import savemat

from lba_cli.data.inventory import CAMERAS, InventoryEntry
from lba_cli.data.parallel import map_chunks
from lba_cli.data.readers.layout import SYNTHETIC_MARK
from lba_cli.data.readers.sysu import MODALITY_OF_CAMERA
from lba_cli.data.synthetic.jobs import Job, draw
from lba_cli.data.synthetic.presets import PRESETS, Preset
from lba_cli.errors import ConfigError, DataError
from lba_cli.files import is_free, whole_folder
from lba_cli.reporting import Listener

_TRIALS = 10
_HEADER = b"MATLAB 5.0 MAT-file, written by lba prepare synthetic".ljust(116)
_NOTE = """\
The people in these images do not exist: every image was drawn by a program.
The folders are laid out as those of SYSU-MM01, but no image of SYSU-MM01 is in them.

preset: {preset}
seed: {seed}
identities: {identities}
images: {visible} visible (cameras 1, 2, 4, 5), {infrared} near infrared (cameras 3, 6)

To draw them again: lba prepare synthetic --preset {preset} --seed {seed}
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


def plan(preset: str, seed: int = 0) -> list[Job]:
    """Every image of ``preset``, by identity, camera and index; draws nothing.

    Raises:
        DataError: there is no such preset.
        ConfigError: ``seed`` is negative.
    """
    if seed < 0:
        raise ConfigError(f"the seed must be 0 or more, not {seed}")
    return [
        Job(seed, entry.identity, camera, index)
        for entry in _preset(preset).entries()
        for camera in CAMERAS
        for index in range(1, entry.images[camera] + 1)
    ]


def write_dataset(
    preset: str, output: Path, *, seed: int = 0, workers: int | None = None, listener: Listener
) -> Summary:
    """Draw the data set ``preset`` into the new folder ``output``, which appears whole or not at all.

    The files depend on ``preset`` and ``seed`` alone. ``workers`` is the number of processes that draw (as many as
    there are cores by default; 1 draws in this process). Images lie under ``cam{camera}/{identity:04d}/`` as
    ``{index:04d}.jpg``; ``exp/`` has ``train_id.txt``, ``val_id.txt``, ``test_id.txt`` and ``rand_perm_cam.mat``.
    ``synthetic.json`` marks the data as synthetic, so that every report says so.

    Raises:
        DataError: there is no such preset, or ``output`` exists and isn't an empty folder.
        ConfigError: ``seed`` is negative, or ``workers`` is less than 1.
    """
    jobs = plan(preset, seed)
    if workers is not None and workers < 1:
        raise ConfigError(f"the number of workers must be 1 or more, not {workers}")
    if not is_free(output):
        raise DataError(f"{output} exists already and is left as it is; name another folder, or remove it first")
    chosen = PRESETS[preset]
    with whole_folder(output) as root:
        with listener.task("drawing people", total=len(jobs), unit="images") as progress:
            for drawn, _ in map_chunks(partial(draw, root, chosen.frame), jobs, workers=workers):
                progress.advance(drawn)
        entries = chosen.entries()
        summary = _summary(output, entries)
        _write_lists(root / "exp", entries)
        _write_permutations(root / "exp" / "rand_perm_cam.mat", entries, seed)
        (root / "README.txt").write_text(_note(preset, seed, summary), encoding="utf-8")
        mark = {"preset": preset, "seed": seed}
        (root / SYNTHETIC_MARK).write_text(json.dumps(mark) + "\n", encoding="utf-8")
    return summary


def _write_permutations(path: Path, entries: tuple[InventoryEntry, ...], seed: int) -> None:
    """Write ``rand_perm_cam``: 6 × 1 cells (camera) of identities × 1 cells of 10 × images permutations.

    The permutations count from 1 (uint16); an identity that a camera doesn't have gets an empty 0 × 0 cell.
    """
    rng = np.random.default_rng((seed, 9_000_000))
    images = {entry.identity: entry.images for entry in entries}
    cameras = np.empty((len(CAMERAS), 1), object)
    for row, camera in enumerate(CAMERAS):
        cells = np.empty((max(images), 1), object)
        for identity in range(1, max(images) + 1):
            cells[identity - 1, 0] = _trials(images.get(identity, {}).get(camera, 0), rng)
        cameras[row, 0] = cells
    savemat(str(path), {"rand_perm_cam": cameras})
    with path.open("r+b") as written:
        written.write(_HEADER)  # SciPy's own has the time of day in it


def _trials(images: int, rng: np.random.Generator) -> NDArray[np.uint16]:
    if images == 0:
        return np.zeros((0, 0), np.uint16)
    return np.stack([rng.permutation(images) + 1 for _ in range(_TRIALS)]).astype(np.uint16)


def _preset(name: str) -> Preset:
    if name not in PRESETS:
        raise DataError(f"there is no preset '{name}'; choose one of {', '.join(PRESETS)}")
    return PRESETS[name]


def _write_lists(folder: Path, entries: tuple[InventoryEntry, ...]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for split in ("train", "val", "test"):
        identities = [str(entry.identity) for entry in entries if entry.split == split]
        (folder / f"{split}_id.txt").write_text(",".join(identities) + "\n", encoding="ascii")


def _summary(folder: Path, entries: tuple[InventoryEntry, ...]) -> Summary:
    infrared = sum(e.images[c] for e in entries for c, modality in MODALITY_OF_CAMERA.items() if modality == "infrared")
    return Summary(folder, len(entries), sum(sum(entry.images.values()) for entry in entries) - infrared, infrared)


def _note(preset: str, seed: int, summary: Summary) -> str:
    return _NOTE.format(
        preset=preset,
        seed=seed,
        identities=summary.identities,
        visible=summary.visible,
        infrared=summary.infrared,
    )
