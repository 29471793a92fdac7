"""Own images in a CSV file, and in folders that a pattern describes, through all commands."""

import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from lba_cli.model.checkpoint import read_checkpoint

STEP = ("--set", "train.epochs=1", "--set", "train.steps_per_epoch=1", "--set", "train.identities=2")
SPLITS = ("train", "train", "train", "val", "test", "test")
PATTERN = "data.pattern=<modality>/<identity>_c<camera>s*"


@pytest.fixture
def market(tmp_path):
    """Images named as in Market-1501, ``{rgb,ir}/0001_c1s1_000001_01.png``, and ``people.csv``, which lists them."""
    random, lines = np.random.default_rng(0), ["path,identity,camera,modality,split"]
    for folder, person, camera in ((f, p, c) for f in ("rgb", "ir") for p in range(6) for c in (1, 2)):
        path = f"{folder}/{person:04d}_c{camera}s1_000001_01.png"
        (tmp_path / "market" / folder).mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 255, (64, 32, 3), np.uint8)).save(tmp_path / "market" / path)
        lines.append(f"{path},{person:04d},{camera},{folder},{SPLITS[person]}")
    (tmp_path / "market" / "people.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "market"


def results(path):
    return [
        {key: result[key] for key in ("mode", "shots", "mean", "num_query")}
        for result in json.loads(path.read_text())["results"]
    ]


def test_a_csv_file_from_files_to_pictures(lba, market, small_yaml, tmp_path):
    images = "market/people.csv"
    lba("train", "--config", small_yaml, "--data", images, *STEP, "--output", "run")
    run = ("evaluate", "--checkpoint", "run")
    output = lba(*run, "--json", "folder.json").output
    assert "data: market/people.csv from market/people.csv" in output
    assert results(tmp_path / "folder.json")[0]["num_query"] == 4
    assert results(tmp_path / "folder.json")[0]["shots"] == "single"
    assert read_checkpoint(tmp_path / "run/checkpoints/best.pt").description.selected_on == "validation"
    output = lba("prepare", "folder", "--root", images, "--config", small_yaml).output
    assert re.search(r"train +│? *3 .* val +│? *1 .* test +│? *2 ", " ".join(output.split())), output
    for words in ((), ("--data", images), ("--data", "market/people.csv-64x32")):
        lba(*run, *words, "--json", "again.json", "--force")
        assert results(tmp_path / "again.json") == results(tmp_path / "folder.json")
    assert "is intact" in lba("prepare", "folder", "--root", images, "--config", small_yaml, "--verify").output
    lba("visualize", "ranking", "--checkpoint", "run", "--output", "ranking.png")
    assert (tmp_path / "ranking.png").is_file()


@pytest.mark.slow
def test_a_pattern_from_files_to_pictures(lba, market, small_yaml, tmp_path):
    lba("prepare", "folder", "--root", "market", "--config", small_yaml, "--set", PATTERN, "--output", "store")
    lba("train", "--config", small_yaml, "--data", "market", "--set", PATTERN, *STEP, "--output", "run")
    description = read_checkpoint(tmp_path / "run/checkpoints/last.pt").description
    assert description.config["data"]["pattern"] == PATTERN.removeprefix("data.pattern=")
    assert description.config["data"]["dataset"] == "folder"
    shutil.copytree(market, tmp_path / "elsewhere")
    run = ("evaluate", "--checkpoint", "run")
    lba(*run, "--json", "folder.json")
    for data in ("market", "elsewhere", "store"):  # the checkpoint's pattern reads them all
        lba(*run, "--data", data, "--json", "again.json", "--force")
        assert results(tmp_path / "again.json") == results(tmp_path / "folder.json")
    lba("visualize", "correspondences", "--checkpoint", "run", "--output", "lines.png")
    assert (tmp_path / "lines.png").is_file()


def test_flat_names_without_a_pattern_are_refused_with_it(lba, market, small_yaml):
    for old, new in (("rgb", "visible"), ("ir", "infrared")):
        (market / old).rename(market / new)
    output = lba("train", "--config", small_yaml, "--data", "market", status=2).output.replace("\n", " ")
    assert "24 images lie directly in visible/ or infrared/" in output
    assert "data.pattern=<modality>/<identity>_c<camera>*" in output
