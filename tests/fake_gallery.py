"""Made images, and an embedder that needs no network: what lies at a random direction is seen at once."""

import hashlib

import numpy as np
from PIL import Image
from small_setup import HEIGHT, WIDTH

from lba_cli.reporting import Silent
from lba_cli.search.embed_paths import embedded_rows
from lba_cli.search.embedder import Embedder
from lba_cli.search.index import About, open_index
from lba_cli.search.query import search
from lba_cli.search.update import add_rows, build_index

DIMENSION = 16
ROWS = 4096
QUERIES = np.random.default_rng(5).standard_normal((7, DIMENSION)).astype(np.float32)
QUERIES /= np.linalg.norm(QUERIES, axis=1, keepdims=True)


def made_embedder(seed=0, origin="made.pt"):
    """Projects images on random directions; another ``seed`` is another model. ``calls`` has the sizes of its batches."""
    calls = []
    matrix = np.random.default_rng(seed).standard_normal((HEIGHT * WIDTH * 3, DIMENSION)).astype(np.float32)

    def function(images, modality):
        calls.append(len(images))
        flat = images.reshape(len(images), -1).astype(np.float32) / 255
        vectors = flat @ matrix * (1 if modality == "visible" else -1)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    embedder = Embedder(origin, hashlib.sha256(matrix.tobytes()).hexdigest(), HEIGHT, WIDTH, DIMENSION, function)
    return embedder, calls


def write_image(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return str(path)


def rows(embedder, paths, skip_broken=False, modality="visible"):
    return embedded_rows(embedder, modality, paths, [], batch_size=4, listener=Silent(), skip_broken=skip_broken)


def build(folder, embedder, paths, **options):
    return build_index(folder, About.of(embedder, "visible"), rows(embedder, paths), **options)


def add(folder, embedder, paths, modality="visible"):
    return add_rows(folder, About.of(embedder, modality), rows(embedder, paths))


def content(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def require_equal(one, other):
    """The same paths, vectors but for the last bits, and the same ranked lists."""
    first, second = open_index(one, fully=True), open_index(other, fully=True)
    assert first.paths == second.paths
    np.testing.assert_allclose(first.vectors, second.vectors, atol=1e-6)
    ranks = [[[hit.path for hit in hits] for hits in search(each, QUERIES, 10)] for each in (first, second)]
    assert ranks[0] == ranks[1]


def index_of(folder, vectors, faiss=False):
    """An index of ``vectors`` under made-up paths."""
    about = About("0" * 64, "made", 64, 32, "visible", vectors.shape[1], faiss)
    rows = (
        ([f"/{row:09d}.png" for row in range(start, min(start + ROWS, len(vectors)))], vectors[start : start + ROWS])
        for start in range(0, len(vectors), ROWS)
    )
    build_index(folder, about, rows)
    return open_index(folder)
