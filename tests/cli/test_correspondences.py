"""``lba evaluate --correspondences``: the table, the files, and refusals."""

import csv
import json
import shutil

import pytest

from lba_cli.evaluation.correspondence_results import COLUMNS
from lba_cli.synthetic.truth_files import FOLDER

SETTING = ("--mode", "indoor-search", "--shots", "single", "--set", "evaluation.pairs=1")


def words(result):
    return " ".join(result.output.split())


@pytest.mark.slow
def test_two_models_and_an_untrained_network_are_measured(lba, network_file, true_people, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    shutil.copyfile(network_file, "other.pt")
    files = ("--json", "f.json", "--csv", "f.csv", "--markdown", "f.md")
    result = lba("evaluate", network_file, "other.pt", "--data", true_people, "--correspondences", *SETTING, *files)
    for shown in ("Correspondences of", "untrained", "chance: own place", "best possible", "PCK 10%"):
        assert shown in words(result)

    content = json.loads((tmp_path / "f.json").read_text())["correspondences"]
    assert [model["checkpoint"] for model in content] == [str(network_file), "other.pt", "untrained"]
    first, same, untrained = (model["runs"][0]["layer3"] for model in content)
    assert first == same
    assert first["pairs"] == 6
    assert first["strongest"].keys() >= {"on_person", "same_place"}
    assert first["itself"] == untrained["itself"]

    rows = [row for row in csv.DictReader((tmp_path / "f.csv").open()) if row["kind"] == "correspondences"]
    assert len(rows) == 3 * 2 * 3 + 3
    assert rows[0].keys() >= {"stage", "prediction", *COLUMNS}
    assert float(rows[0]["same_place"]) == first["strongest"]["same_place"]
    assert "| layer3 | strongest match |" in (tmp_path / "f.md").read_text()


@pytest.mark.slow
def test_a_store_finds_the_truth_beside_the_images_it_was_prepared_from(lba, network_file, true_people):
    lba(
        "prepare",
        "sysu",
        "--root",
        true_people,
        "--output",
        "store",
        "--set",
        "data.height=64",
        "--set",
        "data.width=32",
    )
    result = lba("evaluate", network_file, "--data", "store", "--correspondences", *SETTING)
    assert "Correspondences of" in words(result)


def test_a_data_set_without_truth_is_refused(lba, network_file, store):
    result = lba("evaluate", network_file, "--data", store, "--correspondences", status=2)
    assert "no truth about correspondences: only synthetic people have it" in words(result)
    assert "lba prepare synthetic --truth" in words(result)


def test_features_have_no_correspondences(lba, tmp_path):
    (tmp_path / "f.npz").write_bytes(b"")
    result = lba("evaluate", "--features", "f.npz", "--correspondences", status=2)
    assert "--features scores a feature file: leave out --correspondences" in words(result)


@pytest.mark.slow
def test_a_missing_map_is_named(lba, network_file, true_people, tmp_path):
    shutil.copytree(true_people, tmp_path / "people")
    for path in (tmp_path / "people" / FOLDER).rglob("cam3/*/*.png"):
        path.unlink()
    result = lba("evaluate", network_file, "--data", "people", "--correspondences", *SETTING, status=2)
    assert ".png: missing: draw the people again" in words(result)
