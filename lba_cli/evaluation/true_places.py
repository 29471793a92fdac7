"""The truth about the positions of a feature map: which pixels of another image show the same point of the person's body.

The rule: a position of a feature map stands for the pixel at its centre. It corresponds to the pixels of the other image that show
the same part, at places that differ by at most 5 % of the person's height along the part and by at most 45° around it. If there is no
such pixel, because the point is turned away, hidden or cut off, the position has no truth.
"""

import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lba_cli.data.store import ImageSource
from lba_cli.datasets.layout import SYNTHETIC_MARK
from lba_cli.errors import DataError
from lba_cli.files import read_text
from lba_cli.synthetic.truth import Truth
from lba_cli.synthetic.truth_files import AGAIN, FOLDER, read_truth

MOST_ALONG, MOST_ANGLE = 0.05, np.pi / 4
ROUNDING = 1e-9  # of distances in shares of the person's height


@dataclass(frozen=True)
class TruePlaces:
    """The truth about P positions of an image.

    Attributes:
        part, along, angle: (P,), see :class:`~lba_cli.synthetic.truth.Truth`.
        centre: (P, 2) float64, the y and x of each position's centre, in pixels of the image.
        height: the person's height in the image, in pixels.
    """

    part: NDArray[np.uint8]
    along: NDArray[np.float64]
    angle: NDArray[np.float64]
    centre: NDArray[np.float64]
    height: float

    @property
    def on_person(self) -> NDArray[np.bool_]:
        """(P,) bool: whether the position shows the person."""
        return self.part > 0


def places_of(truth: Truth, rows: int, columns: int) -> TruePlaces:
    """Look up the truth about the positions of a feature map of ``rows`` × ``columns``, row by row."""
    height, width = truth.part.shape
    y, x = ((np.arange(count) + 0.5) * size / count for count, size in ((rows, height), (columns, width)))
    at = np.ix_(np.minimum(y.astype(int), height - 1), np.minimum(x.astype(int), width - 1))
    centre = np.stack(np.meshgrid(y, x, indexing="ij"), axis=-1).reshape(-1, 2)
    return TruePlaces(truth.part[at].ravel(), truth.along[at].ravel(), truth.angle[at].ravel(), centre, truth.height)


def person_pixels(truth: Truth) -> TruePlaces:
    """Return all pixels that show the person as positions."""
    seen = truth.part > 0
    centre: NDArray[np.float64] = np.argwhere(seen) + np.float64(0.5)
    return TruePlaces(truth.part[seen], truth.along[seen], truth.angle[seen], centre, truth.height)


def corresponding(query: TruePlaces, key: TruePlaces) -> NDArray[np.bool_]:
    """Return a (P, Q) bool array that is true where a position of the query and one of the key show the same point."""
    same_part = query.on_person[:, None] & (query.part[:, None] == key.part)
    turned = np.mod(query.angle[:, None] - key.angle + np.pi, 2 * np.pi) - np.pi
    true: NDArray[np.bool_] = (
        same_part & (np.abs(query.along[:, None] - key.along) <= MOST_ALONG) & (np.abs(turned) <= MOST_ANGLE)
    )
    return true


def distances(points: NDArray[np.float64], true: NDArray[np.float64], height: float) -> NDArray[np.float64]:
    """Return the (n,) distances of (n, 2) points from the nearest of (m, 2) true ones, in shares of the person's height."""
    nearest: NDArray[np.float64] = np.linalg.norm(points[:, None] - true, axis=2).min(axis=1) / height
    return nearest


def has_truth(source: ImageSource) -> bool:
    """Return whether a data set is one of synthetic people with truth maps."""
    try:
        json.loads(read_text(source.root / SYNTHETIC_MARK))
    except (OSError, ValueError, DataError):
        return False
    return (source.root / FOLDER).is_dir()


def require_truth(source: ImageSource) -> None:
    """Raise a DataError if the data set has no truth maps, or if its folder is gone."""
    if not source.root.is_dir():
        raise DataError(
            f"{source.root}: this folder, which the store was made from, is gone, and the truth about correspondences with it: put "
            "it back, or name another one with --data"
        )
    if not has_truth(source):
        raise DataError(
            f"{source.root}: no truth about correspondences: only synthetic people have it ({FOLDER}/); {AGAIN}"
        )


def sample_truth(source: ImageSource, index: int) -> Truth:
    """Read the truth about a sample; raise a DataError if its truth map is missing, damaged or of another image."""
    return read_truth(source.root, source.samples[index].path)
