"""Exact search equals one dot product after another, including ties; search with FAISS comes close."""

import time
from pathlib import Path

import numpy as np
import pytest
from fake_gallery import ROWS, index_of
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.search import brute_force

from lba_cli.errors import SearchError
from lba_cli.search import faiss_index
from lba_cli.search import query as module
from lba_cli.search.query import search


def unit(count, dimension, seed):
    vectors = np.random.default_rng(seed).standard_normal((count, dimension), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def require_exact(index, vectors, queries, top):
    for query, hits in zip(queries, search(index, queries, top), strict=True):
        wanted = brute_force(vectors, query, top)
        assert [hit.row for hit in hits] == [row for row, _ in wanted]
        np.testing.assert_allclose([hit.score for hit in hits], [score for _, score in wanted], atol=1e-12)
        assert [hit.path for hit in hits] == [index.paths[row] for row, _ in wanted]


def test_exact_search_equals_brute_force_on_a_hundred_thousand_vectors(tmp_path):
    vectors = unit(100_000, 48, 0)
    vectors[77_777], vectors[99_999] = vectors[5], vectors[5]
    index = index_of(tmp_path / "index", vectors)
    queries = np.concatenate([unit(2, 48, 1), vectors[5:6]])
    require_exact(index, vectors, queries, 25)
    assert [hit.row for hit in search(index, vectors[5:6], 3)[0]] == [5, 77_777, 99_999]


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(1, 40),
    dimension=st.integers(1, 5),
    top=st.integers(1, 50),
    rows=st.integers(1, 17),
    seed=st.integers(0, 99),
)
def test_exact_search_equals_brute_force_for_any_shape_block_size_and_ties(
    tmp_path_factory, count, dimension, top, rows, seed
):
    random = np.random.default_rng(seed)
    distinct = unit(max(1, count // 3), dimension, seed)
    vectors = distinct[random.integers(0, len(distinct), count)]
    index = index_of(tmp_path_factory.mktemp("made") / "index", vectors)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "ROWS_AT_ONCE", rows)
        patch.setattr(module, "QUERIES_AT_ONCE", 2)
        require_exact(index, vectors, np.concatenate([distinct[:1], unit(4, dimension, seed + 1)]), top)


def test_half_precision_takes_half_the_space_and_ranks_the_rounded_vectors_exactly(tmp_path):
    vectors, queries = unit(20_000, 48, 0), unit(4, 48, 1)
    index = index_of(tmp_path / "half", vectors, dtype="float16")
    assert index.vectors.nbytes * 2 == vectors.nbytes
    rounded = vectors.astype(np.float16).astype(np.float32)
    require_exact(index, rounded, queries, 25)
    whole = index_of(tmp_path / "whole", vectors)
    for half, exact in zip(search(index, queries, 25), search(whole, queries, 25), strict=True):
        np.testing.assert_allclose([hit.score for hit in half], [hit.score for hit in exact], atol=1e-3)


def test_ties_are_in_the_order_of_the_index(tmp_path):
    vectors = np.repeat(unit(1, 33, 0), 10_000, axis=0)
    index = index_of(tmp_path / "index", vectors)
    (hits,) = search(index, unit(1, 33, 1), 100)
    assert [hit.row for hit in hits] == list(range(100))
    assert len({hit.score for hit in hits}) == 1


def test_no_queries_give_no_lists(tmp_path):
    assert search(index_of(tmp_path / "index", unit(5, 4, 0)), np.empty((0, 4), np.float32), 3) == []


def test_faiss_finds_nearly_all_images_with_the_same_scores(tmp_path, capfd):
    pytest.importorskip("faiss")
    centres = unit(200, 32, 3)
    vectors = centres[np.random.default_rng(4).integers(0, 200, 20_000)] + 0.15 * unit(20_000, 32, 5)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    index = index_of(tmp_path / "index", vectors, faiss=True)
    assert capfd.readouterr() == ("", ""), "FAISS has enough vectors a cell to learn from"
    queries = centres[:50]
    exact, near = search(index, queries, 10), search(index, queries, 10, "faiss")
    found = [len({hit.row for hit in a} & {hit.row for hit in b}) for a, b in zip(exact, near, strict=True)]
    assert np.mean(found) > 9.5
    scores = {hit.row: hit.score for hits in exact for hit in hits}
    assert all(scores.get(hit.row, hit.score) == hit.score for hits in near for hit in hits)
    assert all([h.score for h in hits] == sorted((h.score for h in hits), reverse=True) for hits in near)


def test_a_larger_gallery_has_more_cells_looked_through(tmp_path, monkeypatch):
    """With a fixed number of cells, fewer and fewer of the images would be found as the gallery grows."""
    pytest.importorskip("faiss")
    vectors = unit(20_000, 16, 7)
    index = index_of(tmp_path / "index", vectors, faiss=True)
    found = {}
    for cells in (1, 16):
        monkeypatch.setattr(faiss_index, "LEAST_PROBED_CELLS", 1)
        monkeypatch.setattr(faiss_index, "ONE_PROBED_CELL_IN", cells)
        found[cells] = [[hit.row for hit in hits] for hits in search(index, vectors[:20], 10, "faiss")]
    exact = [[hit.row for hit in hits] for hits in search(index, vectors[:20], 10)]
    assert found[1] == exact != found[16]


def test_lists_by_faiss_have_the_length_that_was_asked_for(tmp_path):
    pytest.importorskip("faiss")
    vectors = unit(12_000, 16, 8)
    index = index_of(tmp_path / "index", vectors, faiss=True)
    for top in (8_000, 12_000, 20_000):
        near, exact = (search(index, vectors[:2], top, engine) for engine in ("faiss", "exact"))
        assert near == exact


def test_a_missing_or_damaged_faiss_part_is_reported(tmp_path):
    pytest.importorskip("faiss")
    index = index_of(tmp_path / "index", unit(500, 16, 0), faiss=True)
    part = tmp_path / "index" / index.manifest.faiss.name
    content = bytearray(part.read_bytes())
    content[42] = 0xFF  # a number of vectors beyond faiss's own limit; a smaller one would allocate gigabytes first
    part.write_bytes(content)
    with pytest.raises(SearchError, match="damaged"):
        search(index, unit(1, 16, 1), 5, "faiss")
    part.unlink()
    with pytest.raises(SearchError, match="missing; repeat the query if the index has just been changed"):
        search(index, unit(1, 16, 1), 5, "faiss")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is always full is needed")
@pytest.mark.parametrize("count", [10, 20_000])
def test_a_full_disk_is_reported(count):
    pytest.importorskip("faiss")
    with pytest.raises(OSError, match="No space left"):
        faiss_index.write_faiss(unit(count, 16, 0), Path("/dev/full"))


@pytest.mark.slow
def test_exact_search_of_full_size_vectors(tmp_path, capsys):
    """100,000 vectors of a ResNet-50: the ratio of a query to building the index is printed."""
    vectors = unit(100_000, 2048, 0)
    started = time.perf_counter()
    index = index_of(tmp_path / "index", vectors)
    building = time.perf_counter() - started
    queries = unit(3, 2048, 1)
    search(index, queries[:1], 10)
    started = time.perf_counter()
    search(index, queries[:1], 10)
    asking = time.perf_counter() - started
    with capsys.disabled():
        print(
            f"\n100,000 × 2,048: written in {building:.2f} s (without embedding), a query {1000 * asking:.0f} ms: "
            f"1 : {building / asking:.0f}"
        )
    require_exact(index, vectors, queries, 10)


@pytest.mark.parametrize(
    ("count", "noise"),
    [
        pytest.param(100_000, 0.08, marks=pytest.mark.slow),
        pytest.param(1_000_000, 0.05, marks=pytest.mark.long),
        pytest.param(1_000_000, 0.08, marks=pytest.mark.long),
    ],
)
def test_faiss_on_large_galleries(tmp_path, capsys, count, noise):
    """Twenty images a person, around centres of length 1 with ``noise`` in each of 128 dimensions; its figures are printed."""
    faiss = pytest.importorskip("faiss")
    random, people = np.random.default_rng(0), unit(count // 20, 128, 1)

    def of(who):
        vectors = people[who] + noise * random.standard_normal((len(who), 128), dtype=np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    vectors = np.concatenate([of(random.integers(0, len(people), ROWS)) for _ in range(count // ROWS)])
    queries = of(np.arange(100))
    started = time.perf_counter()
    index = index_of(tmp_path / "index", vectors, faiss=True)
    seconds = {"building": time.perf_counter() - started}
    found = {}
    for engine in ("exact", "faiss"):
        search(index, queries[:1], 10, engine)
        started = time.perf_counter()
        hits = [search(index, queries[row : row + 1], 10, engine)[0] for row in range(100)]
        seconds[engine] = (time.perf_counter() - started) / 100
        found[engine] = [[hit.row for hit in each] for each in hits]
    flat = faiss.IndexFlatIP(128)
    flat.add(vectors)
    assert flat.search(queries, 10)[1].tolist() == found["exact"]
    recall = np.mean([len({*a} & {*b}) / 10 for a, b in zip(found["exact"], found["faiss"], strict=True)])
    assert recall > 0.8
    with capsys.disabled():
        print(f"\n{count:,} × 128, noise {noise}: recall@10 {recall:.3f}; seconds {seconds}")
