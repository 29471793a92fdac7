"""The similarities between the queries and the gallery of one draw."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lba_cli.data.store import ImageSource
from lba_cli.datasets import Draw
from lba_cli.evaluation.embedding import Embeddings
from lba_cli.evaluation.scoring import ignored_images


@dataclass(frozen=True)
class Comparison:
    """Every query of a draw compared with every gallery image.

    Attributes:
        draw: the queries and the gallery.
        scores: (queries, gallery) float32 cosine similarities.
        same: (queries, gallery) bool: whether both images show the same person.
        ignored: (queries, gallery) bool: whether the match rules ignore the gallery image for the query.
    """

    draw: Draw
    scores: NDArray[np.float32]
    same: NDArray[np.bool_]
    ignored: NDArray[np.bool_]

    def allowed_scores(self, rows: int | slice = slice(None)) -> NDArray[np.float32]:
        """The scores of all queries or of some, with -inf for gallery images that are ignored."""
        return np.where(self.ignored[rows], np.float32(-np.inf), self.scores[rows])


def compare(source: ImageSource, draw: Draw, embeddings: Embeddings) -> Comparison:
    """Compare the queries of a draw with its gallery."""
    scores: NDArray[np.float32] = embeddings.of(draw.queries) @ embeddings.of(draw.gallery).T
    queries, gallery = (
        np.asarray([source.samples[index].identity for index in side]) for side in (draw.queries, draw.gallery)
    )
    ignored = ignored_images(source, draw.queries, draw.gallery)
    return Comparison(draw, scores, queries[:, None] == gallery[None, :], ignored)
