"""The JSON of ``lba export --data``: the results of the trained and of the exported network, and their thresholds."""

import json
import shutil
from pathlib import Path

import pytest

from lba_cli.search.thresholds import read_thresholds

FAR = 0.1


@pytest.fixture
def people(trees, tmp_path):
    """Images of one's own, which are searched in both directions."""
    return Path(shutil.copytree(trees["folder"], tmp_path / "people"))


def refused(lba, network_file, *words):
    export = ("export", "--checkpoint", network_file, "--format", "safetensors", "--output", "x.safetensors")
    return " ".join(lba(*export, *words, status=2).output.split())


def exported(lba, network_file, store, form, precision, *words):
    """Export a file, and return the first result of the trained and of the exported network in its JSON."""
    names = ("--output", f"{precision}.{form}", "--json", "scores.json", "--force", *words)
    lba("export", "--checkpoint", network_file, "--data", store, "--format", form, "--precision", precision, *names)
    results = json.loads(Path("scores.json").read_text())["results"]
    return results[0], results[len(results) // 2]


def test_both_results_are_those_of_an_evaluation(lba, network_file, store, tmp_path):
    """Each network's result has the figures and the thresholds that ``lba evaluate`` measures."""
    trained, half = exported(lba, network_file, store, "safetensors", "float16")
    for model, found in ((network_file, trained), ("float16.safetensors", half)):
        files = ("--json", "measured.json", "--force")
        lba("evaluate", model, "--data", store, "--verification", "--mode", found["mode"], *files)
        (measured,) = json.loads((tmp_path / "measured.json").read_text())["results"]
        assert found["verification"]["model"] == measured["verification"]["model"]
        assert found["mean"] == pytest.approx(measured["mean"], abs=0.02)
        assert found["verification"]["mean"] == pytest.approx(measured["verification"]["mean"], abs=0.02)
        assert found["direction"] == measured["direction"]
    assert trained["verification"]["model"] != half["verification"]["model"]
    assert half["checkpoint"] == "float16.safetensors"


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "stems"), [("float16", "one"), ("float16", "two"), ("int8", "one")])
def test_thresholds_of_an_onnx_file_decide_in_its_index(lba, network_file, store, tiny, tmp_path, precision, stems):
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    _, own = exported(lba, network_file, store, "onnx", precision, "--stems", stems)
    visible, infrared = (f"{precision}{f'-{each}' if stems == 'two' else ''}.onnx" for each in ("visible", "infrared"))
    known = ("--thresholds", "scores.json")
    lba("search", "build", tiny / "cam1", "--index", "g", "--modality", "visible", "--model", visible, *known)
    query = ("--modality", "infrared", "--model", infrared, "--far", FAR)
    lba("search", "query", "g", tiny / "cam3", *query, "--json", "r.json")
    least = own["verification"]["mean"][f"threshold_at_{FAR}"]
    queries = json.loads((tmp_path / "r.json").read_text())["queries"]
    scores = [hit["score"] for query in queries for hit in query["results"]]
    assert scores
    assert min(scores) >= least
    assert read_thresholds(tmp_path / "scores.json", own["verification"]["model"])["infrared"][str(FAR)] == least

    # The checkpoint's own thresholds are in the same file.
    lba("search", "build", tiny / "cam1", "--index", "c", "--modality", "visible", "--checkpoint", network_file, *known)


def test_the_json_needs_data_and_a_name_of_its_own(lba, network_file, store, tmp_path):
    assert "--json needs --data" in refused(lba, network_file, "--json", "x.json")
    for name in ("x.safetensors", "x.safetensors.md"):
        assert "must end in .json" in refused(lba, network_file, "--data", store, "--json", name)
    within = refused(lba, network_file, "--data", store, "--json", "x.safetensors/scores.json")
    assert "one is a file where the other needs a folder" in within
    (tmp_path / "kept.json").write_text("mine")
    assert "kept.json: exists already" in refused(lba, network_file, "--data", store, "--json", "kept.json")
    assert (tmp_path / "kept.json").read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} == {"kept.json"}


def test_thresholds_of_every_usual_direction_are_measured(lba, network_file, people, tmp_path):
    _, half = exported(lba, network_file, people, "safetensors", "float16")
    known = read_thresholds(tmp_path / "scores.json", half["verification"]["model"])
    assert set(known) == {"infrared", "visible"}
    assert half["root"] == str(people)


def test_data_with_too_few_pairs_is_warned_about(lba, network_file, people, tmp_path):
    for modality in ("visible", "infrared"):
        for person in (people / modality).iterdir():
            if person.name not in ("person 001", "person 002", "person 003"):
                shutil.rmtree(person)
    names = ("--output", "x.safetensors", "--json", "scores.json")
    few = ("export", "--checkpoint", network_file, "--data", people, "--format", "safetensors", *names)
    output = " ".join(lba(*few, "--set", "data.test_share=1").output.split())
    assert "scores.json: has no scores for rates of false accepts: the data has too few pairs" in output


def test_a_file_that_is_exported_over_itself_has_two_results(lba, network_file, store):
    exported(lba, network_file, store, "safetensors", "float16")
    trained, half = exported(lba, "float16.safetensors", store, "safetensors", "float16")
    assert trained["checkpoint"] == half["checkpoint"] == "float16.safetensors"
    assert trained["verification"] == half["verification"]
