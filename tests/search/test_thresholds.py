"""Scores for rates of false accepts: read from results, kept in an index, and refused where they don't fit."""

import json

import pytest

from lba_cli.errors import SearchError
from lba_cli.search.thresholds import read_thresholds, threshold_for

MODEL = "a" * 64
LEVELS = {"threshold_at_0.1": 0.2, "threshold_at_0.01": 0.6, "auc": 0.9}


def result(model=MODEL, direction="infrared-to-visible", mean=LEVELS):
    return {"direction": direction, "verification": {"model": model, "mean": mean, "draws": [], "std": {}}}


def written(path, *results):
    path.write_text(json.dumps({"results": list(results)}))
    return path


def test_the_first_result_of_each_direction_counts(tmp_path):
    other = {"threshold_at_0.1": 0.3}
    results = (
        {"direction": "infrared-to-visible"},
        result(model="b" * 64),
        result(),
        result(mean=other),
        result(direction="visible-to-infrared", mean=other),
    )
    found = read_thresholds(written(tmp_path / "f.json", *results), MODEL)
    assert found == {"infrared": {"0.1": 0.2, "0.01": 0.6}, "visible": {"0.1": 0.3}}
    assert threshold_for(found, "infrared", 0.01, "f.json") == 0.6
    assert threshold_for(found, "infrared", 1e-2, "f.json") == 0.6


def test_unknown_rates_are_refused_with_the_known_ones():
    known = {"infrared": {"0.1": 0.2, "0.01": 0.6}}
    with pytest.raises(SearchError, match=r"no threshold for infrared queries is known at --far 0.001 .*0.1, 0.01"):
        threshold_for(known, "infrared", 0.001, "f.json")
    with pytest.raises(
        SearchError,
        match="its thresholds are for infrared queries, not for visible ones: measure them in that direction",
    ):
        threshold_for(known, "visible", 0.1, "f.json")
    with pytest.raises(SearchError, match="no thresholds are known for --far: name a file with --thresholds"):
        threshold_for({}, "infrared", 0.1, "gallery")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "not the results of an evaluation"),
        ("[]", "not the results of an evaluation"),
        ('{"results": 3}', "holds no thresholds"),
        ('{"results": [{"direction": "infrared-to-visible"}]}', "holds no thresholds"),
        (json.dumps({"results": [result(model="c" * 64)]}), "holds the thresholds of another model"),
        (json.dumps({"results": [result(mean={"threshold_at_0.1": "high"})]}), "its thresholds are not scores"),
        (json.dumps({"results": [result(mean={"threshold_at_0.1": 7})]}), "its thresholds are not scores"),
        (json.dumps({"results": [result(mean={"threshold_at_0.1": True})]}), "its thresholds are not scores"),
    ],
)
def test_files_without_fitting_thresholds_are_refused(tmp_path, content, words):
    (tmp_path / "f.json").write_text(content)
    with pytest.raises(SearchError, match=words) as caught:
        read_thresholds(tmp_path / "f.json", MODEL)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(SearchError, match=r"missing\.json: no such file"):
        read_thresholds(tmp_path / "missing.json", MODEL)


@pytest.mark.parametrize("far", [0, -1, 1, 2, float("inf"), float("nan")])
def test_rates_outside_0_and_1_are_refused(far):
    with pytest.raises(SearchError, match="--far should be more than 0 and less than 1"):
        threshold_for({"infrared": {"0.1": 0.2}}, "infrared", far, "f.json")


def test_strange_rates_and_directions_are_passed_over(tmp_path):
    mean = {"threshold_at_abc": 0.1, "threshold_at_0.1": 0.4, "threshold_at_1e400": 0.2}
    content = written(tmp_path / "f.json", result(mean=mean), result(direction="x" * 70_000))
    assert read_thresholds(content, MODEL) == {"infrared": {"0.1": 0.4}}


def test_means_over_several_models_are_refused(tmp_path):
    with pytest.raises(SearchError, match="holds means over several models"):
        read_thresholds(written(tmp_path / "f.json", result(model="")), MODEL)
