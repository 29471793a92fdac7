"""k-reciprocal re-ranking against a literal implementation, and its memory."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from oracles import rerank as oracle

from lba_cli.evaluation import rerank as module
from lba_cli.evaluation.rerank import Reranking, rerank


def features(seed, queries, gallery, size=16, people=8, levels=None):
    """Noisy unit vectors around a few people's centres, or with ``levels`` few distinct ones, many of them at equal distances."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(people, size))
    vectors = centres[random.integers(people, size=queries + gallery)] + 0.7 * random.normal(
        size=(queries + gallery, size)
    )
    if levels:
        vectors = np.zeros((queries + gallery, size))
        vectors[np.arange(len(vectors)), random.integers(levels, size=len(vectors))] = 1
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return vectors[:queries], vectors[queries:]


def compare(case, k1, k2, weight):
    wanted = oracle.rerank(*case, k1, k2, weight)
    np.testing.assert_allclose(rerank(*case, Reranking(k1, k2, weight)), wanted, atol=1e-5)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("queries", "gallery"), [(30, 50), (12, 7), (1, 60), (60, 1)])
def test_equals_the_literal_implementation(queries, gallery, seed):
    compare(features(seed, queries, gallery), 20, 6, 0.3)


@pytest.mark.parametrize(("k1", "k2", "weight"), [(5, 1, 0.3), (1, 1, 0.0), (7, 3, 1.0), (10, 12, 0.5), (200, 50, 0.3)])
def test_equals_the_literal_implementation_for_other_parameters(k1, k2, weight):
    compare(features(9, 25, 30), k1, k2, weight)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("levels", [1, 3, 9])
def test_equals_the_literal_implementation_where_distances_are_equal(levels, seed):
    compare(features(seed, 20, 40, levels=levels), 6, 3, 0.3)


def test_blocks_change_nothing(monkeypatch):
    case = features(5, 30, 40)
    whole = rerank(*case)
    monkeypatch.setattr(module, "CHUNK_ELEMENTS", 300)
    np.testing.assert_allclose(rerank(*case), whole, atol=1e-6)


def test_with_the_original_distance_alone_the_order_is_the_original_one():
    queries, gallery = features(2, 10, 30)
    order = np.argsort(rerank(queries, gallery, Reranking(original_weight=1.0)), axis=1)
    np.testing.assert_array_equal(order, np.argsort(-(queries @ gallery.T), axis=1))


# The peak is the kernel's VmHWM: getrusage's is inherited from the process that starts this one.
MEMORY = """
import re, pathlib, numpy as np
from lba_cli.evaluation.rerank import rerank
def peak():
    return int(re.search(r"VmHWM:\\s*(\\d+) kB", pathlib.Path("/proc/self/status").read_text())[1])
before = peak()
random = np.random.default_rng(0)
person = random.normal(size=(96, 2048)).astype(np.float32)
who = random.integers(96, size=3803 + 3010)
vectors = person[who] + 2 * random.standard_normal((len(who), 2048), np.float32)
vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
assert rerank(vectors[:3803], vectors[3803:]).shape == (3803, 3010)
print((peak() - before) / 1024)
"""


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_memory_at_full_size():
    """SYSU-MM01's multi-shot all-search trial, 3,803 × 3,010 × 2,048: less than 2 GB, the features with it."""
    done = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    print(f"peak above the imports: {done.stdout.strip()} MiB")
    assert float(done.stdout) < 2 * 1000**3 / 1024**2
