"""``rand_perm_cam.mat``: the fixed random permutations of SYSU-MM01's release, and the galleries drawn with them.

The variable ``rand_perm_cam`` is a 6 × 1 cell array with a cell for each camera. Each cell is an n × 1 cell array with a cell
for each identity. Each of these cells is a 10 × (number of images) matrix. Its rows are permutations that count from 1. The
cell of an identity that has no images under the camera is empty.
"""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lba_cli.datasets.galleries import NUM_DRAWS, Directories, Image
from lba_cli.datasets.matlab import load_cells
from lba_cli.errors import DataError
from lba_cli.vocabulary import plural

VARIABLE = "rand_perm_cam"
SOURCE = (
    "the file comes with the authors' evaluation code, in its folder evaluation/data_split, not with the images: copy it to "
    "exp/, and prepare the store again if there is one"
)
# {(identity, camera): (10, images) permutations, which count from 1}
Permutations = Mapping[tuple[int, int], "NDArray[np.int64]"]
_HEADER = b"MATLAB 5.0 MAT-file, written by lba prepare synthetic".ljust(116)


def official_gallery(
    directories: Directories[Image], permutations: Permutations, cameras: Sequence[int], trial: int, shots: int = 1
) -> list[Image]:
    """Draw a gallery as the data set's release does: the first images of each directory's fixed permutation.

    Args:
        directories: the sorted images of every test identity under every camera.
        permutations: see :func:`load_permutations`.
        cameras, trial: the cameras of the gallery, and the number of the draw, from 0.
        shots: the number of images taken from each directory.

    Returns:
        The images in gallery order: cameras ascending, then identities ascending.

    Raises:
        DataError: a directory has another number of images than its permutation.
    """
    gallery: list[Image] = []
    for camera in sorted(cameras):
        for identity in sorted({identity for identity, _ in directories}):
            images = directories.get((identity, camera))
            if not images:
                continue
            permutation = permutations.get((identity, camera), np.empty((NUM_DRAWS, 0), np.int64))
            if permutation.shape[1] != len(images):
                raise DataError(
                    f"this copy of the data set has {len(images)} {plural(len(images), 'image')} of identity {identity} under "
                    f"camera {camera}, but the official protocol expects {permutation.shape[1]}: use an unmodified copy, or "
                    "--protocol community"
                )
            gallery += [images[index - 1] for index in permutation[trial][:shots].tolist()]
    return gallery


def load_permutations(path: str | Path) -> dict[tuple[int, int], NDArray[np.int64]]:
    """Read ``rand_perm_cam.mat``. Return {(identity, camera): (10, images) int64 permutations, which count from 1}.

    Raises:
        DataError: the file is missing, isn't a MATLAB file, or doesn't hold the permutations.
    """
    try:
        cameras = load_cells(Path(path), VARIABLE).reshape(-1)
        cells = {
            (identity, camera): np.asarray(cell, np.int64)
            for camera, people in enumerate(cameras, start=1)
            for identity, cell in enumerate(people.reshape(-1), start=1)
            if cell.size
        }
    except FileNotFoundError:
        raise DataError(
            f"{path}: no such file; {SOURCE}. Only the official protocol needs this file: --protocol community works without it"
        ) from None
    except (OSError, ValueError, TypeError, AttributeError, OverflowError) as problem:
        raise DataError(f"{path}: not the permutations of the official protocol ({problem})") from problem
    for (identity, camera), rows in cells.items():
        if rows.ndim != 2 or len(rows) != NUM_DRAWS or (np.sort(rows) != np.arange(1, rows.shape[1] + 1)).any():
            raise DataError(
                f"{path}: camera {camera}, identity {identity}: not {NUM_DRAWS} permutations of the numbers from 1 on; copy the original "
                "file again, or use --protocol community"
            )
    return cells


def permutations_file(images: Mapping[int, Mapping[int, int]], cameras: Sequence[int], seed: int) -> bytes:
    """Return the content of a ``rand_perm_cam.mat`` with random permutations for {identity: {camera: number of images}}."""
    from scipy.io import savemat

    random = np.random.default_rng((seed, 9_000_000))
    outer = np.empty((len(cameras), 1), object)
    for row, camera in enumerate(cameras):
        cells = np.empty((max(images), 1), object)
        for identity in range(1, max(images) + 1):
            cells[identity - 1, 0] = _permutations(images.get(identity, {}).get(camera, 0), random)
        outer[row, 0] = cells
    file = io.BytesIO()
    savemat(file, {VARIABLE: outer})  # type: ignore[arg-type]
    return _HEADER + file.getvalue()[len(_HEADER) :]  # SciPy's own header contains the time of day


def _permutations(images: int, random: np.random.Generator) -> NDArray[np.uint16]:
    if images == 0:
        return np.zeros((0, 0), np.uint16)
    return np.stack([random.permutation(images) + 1 for _ in range(NUM_DRAWS)]).astype(np.uint16)
