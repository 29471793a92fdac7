"""SYSU-MM01's layout: ``cam{camera}/{identity:04d}/{index:04d}.jpg``, and ``exp`` with id lists and permutations."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from scipy.io import savemat

from lba_cli.data.inventory import CAMERAS, InventoryEntry
from lba_cli.data.synthetic.jobs import Job
from lba_cli.data.synthetic.layouts.plan import Plan
from lba_cli.data.synthetic.presets import Preset

_TRIALS = 10
_HEADER = b"MATLAB 5.0 MAT-file, written by lba prepare synthetic".ljust(116)


def plan_sysu(preset: Preset, seed: int) -> Plan:
    """Every image by identity, camera and index; the id lists and the official protocol's permutations."""
    entries = preset.entries()
    jobs = tuple(
        Job(seed, entry.identity, camera, index, f"cam{camera}/{entry.identity:04d}/{index:04d}.jpg")
        for entry in entries
        for camera in CAMERAS
        for index in range(1, entry.images[camera] + 1)
    )
    lists = {
        f"exp/{split}_id.txt": ",".join(str(e.identity) for e in entries if e.split == split).encode() + b"\n"
        for split in ("train", "val", "test")
    }
    return Plan(jobs, {**lists, "exp/rand_perm_cam.mat": _permutations(entries, seed)})


def _permutations(entries: tuple[InventoryEntry, ...], seed: int) -> bytes:
    """``rand_perm_cam``: 6 × 1 cells (camera) of identities × 1 cells of 10 × images permutations.

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
    file = io.BytesIO()
    savemat(file, {"rand_perm_cam": cameras})  # type: ignore[arg-type]
    return _HEADER + file.getvalue()[len(_HEADER) :]  # SciPy's own header has the time of day in it


def _trials(images: int, rng: np.random.Generator) -> NDArray[np.uint16]:
    if images == 0:
        return np.zeros((0, 0), np.uint16)
    return np.stack([rng.permutation(images) + 1 for _ in range(_TRIALS)]).astype(np.uint16)
