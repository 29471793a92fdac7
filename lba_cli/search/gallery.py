"""What the galleries of all engines have in common: a description, and checks that a model and images fit it."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from lba_cli.errors import SearchError
from lba_cli.manifest import StrictModel
from lba_cli.search.embedder import UNIT_TOLERANCE, Embedder
from lba_cli.search.image_paths import absolute_path
from lba_cli.search.thresholds import Thresholds
from lba_cli.value_range import FULL, KEY, ValueRange
from lba_cli.vocabulary import LARGEST_SIDE, EmbeddingPrecision, Modality

AGAIN = "rebuild it with lba search build"
# Blocks of a gallery: n paths, and their (n, D) float32 vectors.
Rows = Iterable[tuple[Sequence[str], NDArray[np.float32]]]


class Hit(NamedTuple):
    """A gallery image in a ranked list.

    Attributes:
        row: its row in the index; -1 in a gallery without rows.
        path, score: its path, and its dot product with the query.
        identity, camera: what the gallery knows of it besides; None if nothing.
    """

    row: int
    path: str
    score: float
    identity: str | None = None
    camera: int | None = None


class IndexDescription(StrictModel):
    """The properties that all vectors of a gallery share.

    Attributes:
        model: the fingerprint of the model that embedded the gallery.
        origin: the file that the model came from.
        height, width: the size of the model's input images, in pixels.
        modality: the modality of the images.
        dimension: D, the length of the vectors.
        value_range: how images of more than 8 bits were read, see :mod:`lba_cli.value_range`.
        precision: the arithmetic that embedded the gallery, and embeds what is compared with it.
        thresholds: the scores for rates of false accepts, see :mod:`lba_cli.search.thresholds`; empty if unknown.
    """

    model: str
    origin: str
    height: int = Field(ge=1, le=LARGEST_SIDE)
    width: int = Field(ge=1, le=LARGEST_SIDE)
    modality: Modality
    dimension: int = Field(ge=1, le=65_536)
    value_range: ValueRange = FULL
    precision: EmbeddingPrecision = "float32"
    thresholds: Thresholds = Field(default_factory=dict)

    @classmethod
    def from_embedder(
        cls, embedder: Embedder, modality: Modality, thresholds: Thresholds | None = None
    ) -> "IndexDescription":
        """Describe a gallery of vectors that ``embedder`` makes from images of ``modality``."""
        return IndexDescription(
            model=embedder.fingerprint,
            origin=absolute_path(embedder.origin),
            height=embedder.height,
            width=embedder.width,
            modality=modality,
            dimension=embedder.dimension,
            value_range=embedder.value_range,
            precision=embedder.precision,
            thresholds=thresholds or {},
        )


class Gallery(ABC):
    """An open gallery of any engine."""

    @property
    @abstractmethod
    def place(self) -> str:
        """Where the gallery is, for messages."""

    @property
    @abstractmethod
    def description(self) -> IndexDescription:
        """The properties that all vectors share."""

    @property
    @abstractmethod
    def images(self) -> int:
        """The number of images in the gallery."""

    @abstractmethod
    def facts(self) -> dict[str, str]:
        """Return what else users want to know about the gallery, by short names."""

    def require_model(self, embedder: Embedder) -> None:
        """Raise a SearchError that names both models if the gallery was built with another model."""
        made = self.description
        if made.precision != embedder.precision:
            raise SearchError(
                f"{self.place}: its embeddings were computed in {made.precision}, not in {embedder.precision}: leave out "
                "evaluation.precision, or rebuild the index"
            )
        if made.model != embedder.fingerprint:
            raise SearchError(
                f"{self.place}: built with the model {made.origin} (weights {made.model:.12}), not with {embedder.origin} "
                f"(weights {embedder.fingerprint:.12}): use the model that built it, or rebuild the index"
            )
        if (made.dimension, made.height, made.width) != (embedder.dimension, embedder.height, embedder.width):
            raise SearchError(
                f"{self.place}: holds {made.dimension}-dimensional vectors of {made.height}×{made.width} images, but "
                f"{embedder.origin} makes {embedder.dimension}-dimensional ones of {embedder.height}×{embedder.width}; "
                f"{AGAIN}"
            )

    def require_modality(self, modality: Modality) -> None:
        """Raise a SearchError if the gallery holds images of the other modality."""
        if self.description.modality != modality:
            raise SearchError(
                f"{self.place}: holds {self.description.modality} images; build another index for {modality} images"
            )

    def require_alike(self, description: IndexDescription) -> None:
        """Raise a SearchError if vectors of this description can't be added to the gallery."""
        common = ("model", "modality", "dimension", "value_range")
        if any(getattr(self.description, name) != getattr(description, name) for name in common):
            raise SearchError(f"{self.place}: its model, modality or {KEY} is not that of the images to add; {AGAIN}")


def checked_rows(rows: Rows, dimension: int) -> Rows:
    """Yield ``rows``.

    Raises:
        SearchError: the paths are not in order, or the vectors are not of unit length or not of this dimension.
    """
    last = ""
    for paths, vectors in rows:
        if vectors.shape != (len(paths), dimension):
            wanted = len(paths), dimension
            raise SearchError(f"the vectors of {len(paths)} images have shape {vectors.shape}; it should be {wanted}")
        if not (np.abs(np.linalg.norm(vectors, axis=1) - 1) < UNIT_TOLERANCE).all():
            raise SearchError("there are vectors that are not of unit length")
        if paths and (list(paths) != sorted(set(paths)) or last >= paths[0]):
            raise SearchError("the paths are not in order, or not distinct")
        last = paths[-1] if paths else last
        yield paths, vectors
