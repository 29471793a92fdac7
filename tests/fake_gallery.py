"""Images of noise, and an embedder that needs no network: it projects images on random directions."""

import hashlib

import numpy as np
from PIL import Image
from small_setup import HEIGHT, WIDTH

from lba_cli.reporting import Silent
from lba_cli.search.embed_paths import EmbeddingRequest, embedded_rows
from lba_cli.search.embedder import Embedder
from lba_cli.search.gallery import IndexDescription
from lba_cli.search.index import open_index
from lba_cli.search.update import Storage, add_rows, build_index

DIMENSION = 16
ROWS = 4096
QUERIES = np.random.default_rng(5).standard_normal((7, DIMENSION)).astype(np.float32)
QUERIES /= np.linalg.norm(QUERIES, axis=1, keepdims=True)


def made_embedder(seed=0, origin="made.pt"):
    """Return an embedder, and a list that gets the size of each batch. Another ``seed`` is another model.

    As with a network, the vector of an image does not depend on the rest of its batch.
    """
    calls = []
    matrix = np.random.default_rng(seed).standard_normal((HEIGHT * WIDTH * 3, DIMENSION)).astype(np.float32)

    def function(images, modality):
        calls.append(len(images))
        flat = images.reshape(len(images), -1).astype(np.float32) / 255
        vectors = np.stack([image @ matrix for image in flat]) * (1 if modality == "visible" else -1)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    embedder = Embedder(origin, hashlib.sha256(matrix.tobytes()).hexdigest(), HEIGHT, WIDTH, DIMENSION, function)
    return embedder, calls


def write_image(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return str(path)


def rows(embedder, paths, skip_broken=False, modality="visible"):
    return embedded_rows(EmbeddingRequest(embedder, modality, paths, 4, skip_broken), Silent())


def build(folder, embedder, paths, **options):
    return build_index(folder, IndexDescription.from_embedder(embedder, "visible"), rows(embedder, paths), **options)


def add(folder, embedder, paths, modality="visible"):
    return add_rows(folder, IndexDescription.from_embedder(embedder, modality), rows(embedder, paths))


def content(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def require_equal(one, other):
    """Require the same paths, and the same vectors to the bit."""
    first, second = open_index(one, fully=True), open_index(other, fully=True)
    assert first.paths == second.paths
    np.testing.assert_array_equal(first.vectors, second.vectors)


def index_of(folder, vectors, faiss=False, dtype="float32"):
    """Make an index of ``vectors`` under invented paths."""
    embedder = Embedder("made", "0" * 64, 64, 32, vectors.shape[1], lambda *_: None)
    description = IndexDescription.from_embedder(embedder, "visible")
    rows = (
        ([f"/{row:09d}.png" for row in range(start, min(start + ROWS, len(vectors)))], vectors[start : start + ROWS])
        for start in range(0, len(vectors), ROWS)
    )
    build_index(folder, description, rows, storage=Storage(faiss, dtype))
    return open_index(folder)
