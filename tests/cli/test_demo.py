"""``lba demo``: in a small size, and as users run it."""

import json

import pytest

VALUES = ("data.height=64", "data.width=32", "train.epochs=1", "train.steps_per_epoch=2", "train.identities=4")
SMALL = [word for value in VALUES for word in ("--set", value)]


@pytest.mark.slow
def test_a_small_demo_draws_its_pictures(lba, tmp_path, monkeypatch):
    monkeypatch.setattr("lba_cli.cli.demo.PRESET", "tiny")
    require_complete(lba("demo", *SMALL), tmp_path)
    assert "exists already" in lba("demo", status=2).output


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_the_demo_learns(lba, tmp_path):
    require_complete(lba("demo"), tmp_path)
    figures = {}
    for name in ("untrained", "trained"):
        figures[name] = json.loads((tmp_path / "lba-demo" / f"{name}.json").read_text())["results"][0]["mean"]
    assert figures["trained"]["rank1"] >= 3 * figures["untrained"]["rank1"]


def require_complete(result, folder):
    for picture in ("correspondences", "ranking", "masks", "curves"):
        assert (folder / "lba-demo" / f"{picture}.png").read_bytes().startswith(b"\x89PNG")
    assert "What to try next" in result.output
    assert list((folder / "lba-demo" / "people" / "truth").rglob("*.png")), (
        "pictures need a truth to mark which lines are right"
    )
