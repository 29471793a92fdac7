"""Maps of embeddings in two dimensions: by PCA, and by t-SNE if scikit-learn is installed."""

from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lba_cli.evaluation.embedding import Embeddings
from lba_cli.reporting import Listener
from lba_cli.visualize.report.album import Album

FEWEST_FOR_TSNE = 8
PERPLEXITY = 30.0


def embedding_map(
    embeddings: Embeddings, indices: Iterable[int], album: Album, *, points: int, seed: int, listener: Listener
) -> dict[str, Any]:
    """Map at most ``points`` of the samples at ``indices``, chosen at random by ``seed``, into the unit square.

    Returns:
        ``images``: the album's numbers of the n chosen images. ``num_images``: the number of all samples. ``pca`` and
        ``tsne``: (n, 2) points; ``tsne`` is None if scikit-learn is missing or there are too few points, and ``note`` says
        why. ``explained``: the shares of the variance on the two axes of PCA.
    """
    available = np.asarray(sorted(indices), np.int64)
    chosen = np.random.default_rng(seed).choice(available, min(points, len(available)), replace=False)
    vectors = embeddings.of(chosen)
    components, explained = principal_components(vectors)
    neighbours, note = _neighbours(vectors, seed, listener)
    return {
        "images": [album.add(index) for index in chosen],
        "num_images": len(available),
        "pca": _in_unit_square(components),
        "explained": [round(share, 4) for share in explained],
        "tsne": None if neighbours is None else _in_unit_square(neighbours),
        "note": note,
    }


def _neighbours(vectors: NDArray[np.float32], seed: int, listener: Listener) -> tuple[NDArray[np.float64] | None, str]:
    """Return the points of t-SNE and an empty note, or None and a note that says why there are no points."""
    if len(vectors) < FEWEST_FOR_TSNE:
        return None, f"t-SNE needs at least {FEWEST_FOR_TSNE} images"
    if find_spec("sklearn") is None:
        return None, "t-SNE needs scikit-learn (pip install '.[report]' in the source folder)"
    try:
        with listener.task("t-SNE", None):
            return stochastic_neighbours(vectors, seed), ""
    except ImportError as problem:
        listener.warn(f"the report has no t-SNE map: scikit-learn can't be imported ({problem})")
        return None, f"t-SNE needs scikit-learn, which can't be imported here ({problem})"


def principal_components(vectors: NDArray[np.float32]) -> tuple[NDArray[np.float64], list[float]]:
    """Compute the (n, 2) coordinates of (n, D) vectors on their first two principal axes.

    The sign of an axis is chosen so that the coordinate with the largest magnitude is positive.

    Returns:
        The coordinates, and each axis's share of the variance.
    """
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    values, axes = np.linalg.eigh(centred @ centred.T)
    values = np.maximum(values, 0.0)
    coordinates = np.zeros((len(vectors), 2))
    for column in range(min(2, len(vectors))):
        axis = axes[:, -1 - column] * np.sqrt(values[-1 - column])
        coordinates[:, column] = axis * (np.sign(axis[np.abs(axis).argmax()]) or 1.0)
    shares = values[::-1][:2] / max(float(values.sum()), 1e-12)
    return coordinates, [float(share) for share in shares]


def stochastic_neighbours(vectors: NDArray[np.float32], seed: int) -> NDArray[np.float64]:
    """Map (n, D) vectors to (n, 2) points by t-SNE (van der Maaten and Hinton, 2008), starting from PCA."""
    from sklearn.manifold import TSNE

    perplexity = min(PERPLEXITY, (len(vectors) - 1) / 3)
    model = TSNE(n_components=2, perplexity=perplexity, init="pca", random_state=seed % 2**32)
    return np.asarray(model.fit_transform(vectors), np.float64)


def _in_unit_square(points: NDArray[np.float64]) -> list[list[float]]:
    """Move and scale points into the unit square, with the same scale for both axes, and round them."""
    low, high = points.min(axis=0), points.max(axis=0)
    scale = max(float((high - low).max()), 1e-12)
    centred = (points - (low + high) / 2) / scale + 0.5
    rounded: list[list[float]] = centred.round(4).tolist()
    return rounded
