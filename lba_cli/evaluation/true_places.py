"""The truth about the positions of a feature map: which of them show the same point of a person's body.

The rule: a position stands for the pixel at its centre. Two positions correspond if they show the same part, at places that
differ by at most 5 % of the person's height along the part and by at most 45° around it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lba_cli.data.store import ImageSource
from lba_cli.synthetic.truth import Truth
from lba_cli.synthetic.truth_files import FOLDER, read_truth

MOST_ALONG, MOST_ANGLE = 0.05, np.pi / 4


@dataclass(frozen=True)
class TruePlaces:
    """The truth about the P = rows × columns positions of an image's feature map, row by row.

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
    """Look up the truth about the positions of a feature map of ``rows`` × ``columns``."""
    height, width = truth.part.shape
    y, x = ((np.arange(count) + 0.5) * size / count for count, size in ((rows, height), (columns, width)))
    at = np.ix_(np.minimum(y.astype(int), height - 1), np.minimum(x.astype(int), width - 1))
    centre = np.stack(np.meshgrid(y, x, indexing="ij"), axis=-1).reshape(-1, 2)
    return TruePlaces(truth.part[at].ravel(), truth.along[at].ravel(), truth.angle[at].ravel(), centre, truth.height)


def corresponding(query: TruePlaces, key: TruePlaces) -> NDArray[np.bool_]:
    """Return a (P, P) bool array that is true where a position of the query and one of the key show the same point."""
    same_part = query.on_person[:, None] & (query.part[:, None] == key.part)
    turned = np.mod(query.angle[:, None] - key.angle + np.pi, 2 * np.pi) - np.pi
    true: NDArray[np.bool_] = (
        same_part & (np.abs(query.along[:, None] - key.along) <= MOST_ALONG) & (np.abs(turned) <= MOST_ANGLE)
    )
    return true


def has_truth(source: ImageSource) -> bool:
    """Return whether a data set has truth maps."""
    return (source.root / FOLDER).is_dir()


def sample_places(source: ImageSource, index: int, rows: int, columns: int) -> TruePlaces:
    """Look up the truth about a sample; raise a DataError if its truth map is missing, damaged or of another image."""
    return places_of(read_truth(source.root, source.samples[index].path), rows, columns)
