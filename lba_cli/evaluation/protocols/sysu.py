"""SYSU-MM01: infrared queries, galleries of visible cameras; the papers' draws, or the release's own permutations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lba_cli.errors import DataError
from lba_cli.evaluation.matlab import load_cells
from lba_cli.evaluation.protocols.benchmark import DIRECTIONS, Benchmark, ScoredSet, Setting, Trial
from lba_cli.evaluation.protocols.draws import (
    SHOT_COUNT,
    TRIALS,
    Directories,
    Image,
    community_gallery,
    directories_of,
    whole,
)
from lba_cli.vocabulary import Mode

if TYPE_CHECKING:
    from numpy.typing import NDArray

QUERY_CAMERAS = (3, 6)
GALLERY_CAMERAS: dict[Mode, tuple[int, ...]] = {"all-search": (1, 2, 4, 5), "indoor-search": (1, 2)}
MODES: tuple[Mode, ...] = tuple(GALLERY_CAMERAS)

# {(identity, camera): (10, images) 1-based}
Permutations = Mapping[tuple[int, int], "NDArray[np.int64]"]


def official_gallery(
    directories: Directories[Image], permutations: Permutations, cameras: Sequence[int], trial: int, shots: int = 1
) -> list[Image]:
    """The gallery of the data set's release: fixed permutations of every directory's images.

    Args:
        directories: as for :func:`community_gallery`.
        permutations: of ``rand_perm_cam.mat``, see :func:`load_permutations`.
        cameras, trial, shots: as for :func:`community_gallery`.

    Returns:
        The images in gallery order: cameras ascending, identities ascending.

    Raises:
        DataError: a directory doesn't hold as many images as its permutation speaks of.
    """
    gallery: list[Image] = []
    for camera in sorted(cameras):
        for identity in sorted({identity for identity, _ in directories}):
            images = directories.get((identity, camera))
            if not images:
                continue
            permutation = permutations.get((identity, camera))
            found = 0 if permutation is None else permutation.shape[1]
            if permutation is None or found != len(images):
                raise DataError(
                    f"the official protocol's permutation of identity {identity} under camera {camera} is of {found} "
                    f"images, this copy of the data set has {len(images)}: complete it, or use --protocol community"
                )
            gallery += [images[index - 1] for index in permutation[trial][:shots].tolist()]
    return gallery


def load_permutations(path: str | Path) -> dict[tuple[int, int], NDArray[np.int64]]:
    """Read ``rand_perm_cam.mat``: {(identity, camera): (10, images) 1-based permutations}.

    Raises:
        DataError: the file is missing, isn't a MATLAB file, or doesn't hold the permutations.
    """
    try:
        cameras = load_cells(Path(path), "rand_perm_cam").reshape(-1)
        cells = {
            (identity, camera): np.asarray(cell, np.int64)
            for camera, people in enumerate(cameras, start=1)
            for identity, cell in enumerate(people.reshape(-1), start=1)
            if cell.size
        }
    except FileNotFoundError:
        raise DataError(
            f"{path}: no such file; the official protocol needs it, --protocol community does not"
        ) from None
    except (OSError, ValueError, TypeError, AttributeError, OverflowError) as problem:
        raise DataError(f"{path}: not the protocol's permutations ({problem})") from problem
    for (identity, camera), rows in cells.items():
        if not _are_permutations(rows):
            raise DataError(f"{path}: camera {camera}, identity {identity}: not {TRIALS} permutations of 1…n")
    return cells


def _are_permutations(rows: NDArray[Any]) -> bool:
    return (
        rows.ndim == 2
        and len(rows) == TRIALS
        and bool((np.sort(rows, axis=1) == np.arange(1, rows.shape[1] + 1)).all())
    )


def _draw(source: ScoredSet, setting: Setting) -> tuple[Trial, ...]:
    queried, searched = (directories_of(source.samples, modality) for modality in DIRECTIONS[setting.mode])
    queries = whole({key: images for key, images in queried.items() if key[1] in QUERY_CAMERAS})
    cameras, shots = GALLERY_CAMERAS[setting.mode], SHOT_COUNT[setting.shots]
    if setting.protocol == "community":
        galleries = [community_gallery(searched, cameras, trial, shots) for trial in range(TRIALS)]
    else:
        permutations = _permutations(source)
        galleries = [official_gallery(searched, permutations, cameras, trial, shots) for trial in range(TRIALS)]
    return tuple(Trial(number, queries, gallery) for number, gallery in enumerate(galleries))


def _permutations(source: ScoredSet) -> Permutations:
    if source.permutations is None:
        raise DataError(f"{source.name}: exp/rand_perm_cam.mat is missing, which the official protocol needs")
    return load_permutations(source.permutations)


SYSU = Benchmark(
    name="SYSU-MM01",
    modes={"community": MODES, "official": MODES},
    usual_modes=("all-search",),
    shots=("single", "multi"),
    usual_shots=lambda _: "single",
    rules="sysu",
    draw=_draw,
    needs_cameras=True,
)
