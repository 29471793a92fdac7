"""Searching a million vectors of 256 numbers: block by block in a memory-mapped file, against all at once in memory."""

from __future__ import annotations

import numpy as np
from fake_gallery import index_of
from timing import side_by_side

from lba_cli.search.query import search

IMAGES, DIMENSION, TOP = 1_000_000, 256, 10


def test_a_million_vectors(tmp_path):
    vectors = np.random.default_rng(0).standard_normal((IMAGES, DIMENSION), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    index = index_of(tmp_path / "index", vectors)
    queries = vectors[:4] + np.float32(0.02) * vectors[4:8]
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    path = index.folder / index.manifest.vectors.name
    del vectors

    def plain():
        gallery = np.load(path)
        return [np.argsort(-(gallery @ query), kind="stable")[:TOP].tolist() for query in queries]

    def ours():
        return [[hit.row for hit in hits] for hits in search(index, queries, TOP)]

    assert ours() == plain()
    side_by_side("search, exact", ours, plain, note=f"{len(queries)} queries, {IMAGES:,} × {DIMENSION}")
