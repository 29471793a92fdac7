"""Rank a gallery for query images: each alone or all together, by images or by tracks, from a score on."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lba_cli.errors import SearchError
from lba_cli.reporting import Listener
from lba_cli.search.embed_paths import EmbeddingRequest, embedded_rows
from lba_cli.search.gallery import Gallery, Hit
from lba_cli.search.index import Index
from lba_cli.search.milvus_gallery import MilvusGallery
from lba_cli.search.query import search
from lba_cli.search.thresholds import read_thresholds, threshold_for
from lba_cli.search.tracks import mean_vector, search_tracks
from lba_cli.vocabulary import Engine, Modality


class RankedList(NamedTuple):
    """A query, its hits, best first, and the images that it consists of. There may be no hits: nobody is similar enough."""

    query: str
    hits: list[Hit]
    images: tuple[str, ...]


@dataclass(frozen=True)
class RankingOptions:
    """The options of :func:`rank_images`.

    Attributes:
        top, engine: see :func:`~lba_cli.search.query.search`.
        min_score: the lowest score of a hit; None for any.
        together: whether all query images show one person and are one query.
        tracks: whether folders of gallery images are ranked instead of images.
    """

    top: int = 10
    engine: Engine = "exact"
    min_score: float | None = None
    together: bool = False
    tracks: bool = False


def rank_images(
    gallery: Gallery, queries: EmbeddingRequest, options: RankingOptions, listener: Listener
) -> list[RankedList]:
    """Embed query images and rank the gallery for each, or for all of them together.

    Raises:
        SearchError: see :func:`~lba_cli.search.query.search`; or tracks are to be ranked by another engine than ``exact``.
        DataError: images can't be decoded and the request doesn't skip them.
    """
    if options.tracks and options.engine != "exact":
        raise SearchError(
            f"--tracks is not available with --engine {options.engine}: search an index folder with --engine exact"
        )
    names: list[str] = []
    found: list[NDArray[np.float32]] = []
    for some, embedded in embedded_rows(queries, listener):
        names += some
        found.append(embedded)
    if not names:
        return []
    vectors = np.concatenate(found)
    if options.together:
        together, vectors = tuple(names), mean_vector(vectors)
        titles = [names[0] if len(names) == 1 else f"{len(names)} images together: {names[0]}, …"]
        images = [together]
    else:
        titles, images = names, [(name,) for name in names]
    return [
        RankedList(title, _from_score(hits, options.min_score), shown)
        for title, hits, shown in zip(titles, _ranked(gallery, vectors, options), images, strict=True)
    ]


def _ranked(gallery: Gallery, vectors: NDArray[np.float32], options: RankingOptions) -> list[list[Hit]]:
    if isinstance(gallery, MilvusGallery):
        return gallery.search(vectors, options.top)
    assert isinstance(gallery, Index)
    if options.tracks:
        return search_tracks(gallery, vectors, options.top)
    return search(gallery, vectors, options.top, options.engine)


def _from_score(hits: list[Hit], least: float | None) -> list[Hit]:
    return hits if least is None else [hit for hit in hits if hit.score >= least]


def least_score(
    gallery: Gallery, modality: Modality, min_score: float | None, far: float | None, thresholds: Path | None
) -> float | None:
    """Return the lowest score of a hit for the options of ``lba search query``; None for any score.

    Args:
        gallery, modality: the gallery, and the modality of the queries.
        min_score, far: the score itself, or the rate of false accepts that it belongs to.
        thresholds: the file of an evaluation that has the score for ``far``; None for the scores that the index keeps.

    Raises:
        SearchError: the options contradict each other, or the score isn't known.
    """
    if far is None:
        if thresholds:
            raise SearchError("--thresholds needs --far RATE: the rate of false accepts whose score is taken")
        return min_score
    if min_score is not None:
        raise SearchError("--min-score and --far both choose the lowest score: leave one of them out")
    if modality == gallery.description.modality:
        raise SearchError(
            f"--far: thresholds are measured between infrared and visible images, but queries and gallery are both {modality}: use "
            "--min-score"
        )
    known = read_thresholds(thresholds, gallery.description.model) if thresholds else gallery.description.thresholds
    return threshold_for(known, modality, far, str(thresholds or gallery.place))
