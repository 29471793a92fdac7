"""``--far``: a threshold that was measured on some people accepts about as many pairs of two people among others."""

import json
from collections import Counter
from pathlib import Path

import pytest

from lba_cli.search.index import open_index

RATE = 0.01


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_threshold_holds_for_people_that_it_was_not_measured_on(lba, network_file, tmp_path):
    for name, seed in (("known", 0), ("held-back", 5)):
        lba("prepare", "synthetic", "--preset", "small", "--seed", seed, "--output", tmp_path / name)
    lba("evaluate", network_file, "--data", tmp_path / "known", "--verification", "--json", "thresholds.json")
    cameras = [tmp_path / "held-back" / f"cam{number}" for number in (1, 2, 4, 5)]
    lba("search", "build", *cameras, "--index", "gallery", "--modality", "visible", "--checkpoint", network_file)
    cameras = [tmp_path / "held-back" / f"cam{number}" for number in (3, 6)]
    far = ("--far", RATE, "--thresholds", "thresholds.json", "--top", 10_000, "--json", "lists.json")
    lba("search", "query", "gallery", *cameras, "--modality", "infrared", *far)
    images = Counter(person(path) for path in open_index(Path("gallery")).paths)
    accepted = impostors = 0
    for query in json.loads(Path("lists.json").read_text())["queries"]:
        asked = person(query["query"])
        impostors += images.total() - images[asked]
        accepted += sum(person(hit["path"]) != asked for hit in query["results"])
    assert 0.5 * RATE <= accepted / impostors <= 2 * RATE, accepted / impostors


def person(path):
    return Path(path).parent.name
