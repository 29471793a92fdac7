"""A synthetic data set of SYSU-MM01's full size. It takes half an hour and 8 GB, so it runs with ``-m long`` only."""

import json
import resource
import subprocess
import sys

import pytest

from lba_cli.data.samples import select
from lba_cli.data.store import StoredImages
from lba_cli.datasets import Setting
from lba_cli.evaluation.scoring import draw_setting


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_counts_and_memory_at_full_size(tmp_path):
    def lba(*words):
        subprocess.run([sys.executable, "-m", "lba_cli", *words], cwd=tmp_path, check=True)

    lba("prepare", "synthetic", "--preset", "sysu", "--output", "full")
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    lba("prepare", "sysu", "--root", "full", "--npy")
    assert max(before, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) < 1_000_000  # kilobytes
    check_counts(StoredImages(tmp_path / "full-288x144"))


def check_counts(store):
    """Compare a store with the published counts."""
    assert len(select(store.samples, "train", "visible")) == 22258
    assert len(select(store.samples, "train", "infrared")) == 11909
    sizes = {
        ("all-search", "single"): 301,
        ("indoor-search", "single"): 112,
        ("all-search", "multi"): 3010,
        ("indoor-search", "multi"): 1120,
    }
    for (mode, shots), size in sizes.items():
        for protocol in ("community", "official"):
            draws = draw_setting(store, Setting(mode, shots, protocol)).draws
            assert {(len(draw.queries), len(draw.gallery)) for draw in draws} == {(3803, size)}
            queries, gallery = draws[0].queries, draws[0].gallery
            matched = [q for q in queries if has_match(store.samples, q, gallery)]
            if mode == "indoor-search":
                assert len({store.samples[i].identity for i in gallery}) == 56
                assert len(queries) - len(matched) == 1595
    assert json.loads((store._folder / "manifest.json").read_text())["name"] == "synthetic-sysu"


def has_match(samples, query, gallery):
    q = samples[query]
    return any(samples[g].identity == q.identity and (q.camera, samples[g].camera) != (3, 2) for g in gallery)
