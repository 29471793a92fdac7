"""Where embeddings lie: a map of them in two dimensions by PCA, and by t-SNE where scikit-learn is installed."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from lba_cli.evaluation.embedding import Embeddings
from lba_cli.reporting import Listener
from lba_cli.visualize.report.album import Album

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEWEST_FOR_TSNE = 8
PERPLEXITY = 30.0


def embedding_map(
    embeddings: Embeddings, indices: Iterable[int], album: Album, *, points: int, seed: int, listener: Listener
) -> dict[str, Any]:
    """Places in the unit square of at most ``points`` of the samples at ``indices``, drawn by ``seed``.

    Returns:
        ``images``: the album's numbers; ``pca`` and ``tsne``: (n, 2) places (``tsne`` is None where there is no
        scikit-learn, or too few points, and ``note`` says which); ``explained``: the shares of variance of PCA's axes.
    """
    everyone = np.asarray(sorted(indices), np.int64)
    drawn = np.random.default_rng(seed).choice(everyone, min(points, len(everyone)), replace=False)
    vectors = embeddings.of(drawn)
    places, explained = principal_components(vectors)
    neighbours, note = _neighbours(vectors, seed, listener)
    return {
        "images": [album.add(index) for index in drawn],
        "all": len(everyone),
        "pca": _rounded(places),
        "explained": [round(share, 4) for share in explained],
        "tsne": None if neighbours is None else _rounded(neighbours),
        "note": note,
    }


def _neighbours(vectors: NDArray[np.float32], seed: int, listener: Listener) -> tuple[NDArray[np.float64] | None, str]:
    """Places by t-SNE, or None and why there are none."""
    if len(vectors) < FEWEST_FOR_TSNE:
        return None, f"t-SNE needs at least {FEWEST_FOR_TSNE} images"
    if find_spec("sklearn") is None:
        return None, "t-SNE needs scikit-learn, the extra 'report' (pip install '.[report]' in the sources)"
    try:
        with listener.task("t-SNE", None):
            return stochastic_neighbours(vectors, seed), ""
    except ImportError as problem:
        listener.warn(f"the report has no t-SNE: scikit-learn can't be imported ({problem})")
        return None, f"scikit-learn, which makes t-SNE, can't be imported here ({problem})"


def principal_components(vectors: NDArray[np.float32]) -> tuple[NDArray[np.float64], list[float]]:
    """(n, D) vectors → (n, 2) coordinates on their first two principal axes, and the axes' shares of the variance.

    The sign of an axis is the one that makes its coordinate of largest magnitude positive.
    """
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    values, axes = np.linalg.eigh(centred @ centred.T)
    values = np.maximum(values, 0.0)
    places = np.zeros((len(vectors), 2))
    for column in range(min(2, len(vectors))):
        axis = axes[:, -1 - column] * np.sqrt(values[-1 - column])
        places[:, column] = axis * (np.sign(axis[np.abs(axis).argmax()]) or 1.0)
    shares = values[::-1][:2] / max(float(values.sum()), 1e-12)
    return places, [float(share) for share in shares]


def stochastic_neighbours(vectors: NDArray[np.float32], seed: int) -> NDArray[np.float64]:
    """(n, D) vectors → (n, 2) places by t-SNE (van der Maaten and Hinton, 2008), started from PCA."""
    from sklearn.manifold import TSNE

    perplexity = min(PERPLEXITY, (len(vectors) - 1) / 3)
    model = TSNE(n_components=2, perplexity=perplexity, init="pca", random_state=seed % 2**32)
    return np.asarray(model.fit_transform(vectors), np.float64)


def _rounded(places: NDArray[np.float64]) -> list[list[float]]:
    """Places moved and scaled, both axes alike, into the unit square."""
    low, high = places.min(axis=0), places.max(axis=0)
    scale = max(float((high - low).max()), 1e-12)
    centred = (places - (low + high) / 2) / scale + 0.5
    rounded: list[list[float]] = centred.round(4).tolist()
    return rounded
