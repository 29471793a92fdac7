"""Who is query and who is gallery in each trial of SYSU-MM01's two protocols."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from lba_cli.errors import DataError
from lba_cli.evaluation.matlab import load_cells
from lba_cli.vocabulary import Mode, Shots

if TYPE_CHECKING:
    from numpy.typing import NDArray

Image = TypeVar("Image")

TRIALS = 10
QUERY_CAMERAS = (3, 6)
GALLERY_CAMERAS: dict[Mode, tuple[int, ...]] = {"all-search": (1, 2, 4, 5), "indoor-search": (1, 2)}
SHOT_COUNT: dict[Shots, int] = {"single": 1, "multi": 10}

# {(identity, camera): its images, sorted}
Directories = Mapping[tuple[int, int], Sequence[Image]]
# {(identity, camera): (10, images) 1-based}
Permutations = Mapping[tuple[int, int], "NDArray[np.int64]"]
DrawGallery = Callable[[Directories[Image], Sequence[int], int, int], list[Image]]


def community_gallery(
    directories: Directories[Image], cameras: Sequence[int], trial: int, shots: int = 1
) -> list[Image]:
    """The gallery that papers of the field draw: Python's own generator, seeded by the trial's number.

    Args:
        directories: the sorted images of every test identity under every camera.
        cameras: the gallery's.
        trial: from 0.
        shots: images drawn from each directory; all of it where it holds fewer.

    Returns:
        The drawn images in gallery order: identities ascending, cameras ascending.
    """
    generator = random.Random(trial)
    gallery: list[Image] = []
    for identity in sorted({identity for identity, _ in directories}):
        for camera in sorted(cameras):
            images = directories.get((identity, camera))
            if images:
                gallery += _community_draw(generator, images, shots)
    return gallery


def _community_draw(generator: random.Random, images: Sequence[Image], shots: int) -> list[Image]:
    if shots == 1:
        return [generator.choice(images)]
    return generator.sample(images, min(shots, len(images)))


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
