"""The whole demo. It takes minutes, so it runs only with ``-m slow``."""

import json

import pytest


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_demo_learns_and_draws_its_pictures(lba, tmp_path):
    result = lba("demo")
    figures = {}
    for name in ("untrained", "trained"):
        figures[name] = json.loads((tmp_path / "lba-demo" / f"{name}.json").read_text())["results"][0]["mean"]
    assert figures["trained"]["rank1"] >= 3 * figures["untrained"]["rank1"]
    for picture in ("correspondences", "ranking", "masks", "curves"):
        assert (tmp_path / "lba-demo" / f"{picture}.png").read_bytes().startswith(b"\x89PNG")
    assert "What to try next" in result.output
    assert "exists already" in lba("demo", status=2).output
