"""From thresholds that an evaluation measures to searches that may find nobody."""

import csv
import json

import numpy as np
import pytest

from lba_cli.model import load_network
from lba_cli.reporting import Silent
from lba_cli.search.embed_paths import EmbeddingRequest, embedded_rows
from lba_cli.search.embedder import network_embedder
from lba_cli.search.gallery import IndexDescription
from lba_cli.search.update import build_index


def words(result):
    return " ".join(result.output.split())


def refused(result):
    assert "error: " in result.output, result.output
    (line,) = result.output.split("error: ", 1)[1].strip().splitlines()
    return line


@pytest.fixture
def thresholds(lba, network_file, store, tmp_path):
    """The thresholds of the model ``network_file`` on the test people of ``tiny``."""
    lba("evaluate", network_file, "--data", store, "--verification", "--json", "t.json")
    return tmp_path / "t.json"


@pytest.fixture
def gallery(network_file, tiny, make_once):
    """An index of four people under camera 1; tests must not change it."""

    def make(folder):
        embedder = network_embedder(load_network(network_file), str(network_file))
        paths = [str(path) for person in sorted((tiny / "cam1").iterdir())[:4] for path in sorted(person.iterdir())]
        request = EmbeddingRequest(embedder, "visible", paths, 16)
        build_index(folder, IndexDescription.from_embedder(embedder, "visible"), embedded_rows(request, Silent()))

    return make_once("gallery", make)


def test_the_figures_are_in_the_table_and_in_every_file(lba, network_file, store, tmp_path):
    files = ("--json", "f.json", "--csv", "f.csv", "--markdown", "f.md")
    result = lba("evaluate", network_file, "--data", store, "--verification", "--flip", *files)
    assert "Verification: do two images show the same person?" in words(result)
    plain, flipped = json.loads((tmp_path / "f.json").read_text())["results"]
    for entry in (plain, flipped):
        figures = entry["verification"]
        assert len(figures["draws"]) == 10
        assert figures["mean"]["auc"] == pytest.approx(np.mean([draw["auc"] for draw in figures["draws"]]))
        assert figures["std"]["auc"] == pytest.approx(np.std([draw["auc"] for draw in figures["draws"]]))
        assert len(figures["model"]) == 64
    assert plain["verification"]["mean"] != flipped["verification"]["mean"]
    row = next(csv.DictReader((tmp_path / "f.csv").open()))
    assert float(row["threshold_at_0.1"]) == plain["verification"]["mean"]["threshold_at_0.1"]
    assert "| TAR at FAR 0.1 |" in (tmp_path / "f.md").read_text()


@pytest.mark.slow
def test_saved_features_give_the_figures_of_their_network(lba, network_file, store, tmp_path):
    lba("evaluate", network_file, "--data", store, "--verification", "--json", "a.json", "--save-features", "f.npz")
    lba("evaluate", "--features", "f.npz", "--protocol-of", "sysu", "--verification", "--json", "b.json")
    first, again = (json.loads((tmp_path / n).read_text())["results"][0]["verification"] for n in ("a.json", "b.json"))
    assert first["mean"]["auc"] == pytest.approx(again["mean"]["auc"], abs=1e-6)


@pytest.mark.slow
def test_thresholds_are_kept_in_the_index_and_survive_changes_of_it(lba, network_file, thresholds, photos):
    build = ("search", "build", "cam1", "--modality", "visible", "--checkpoint", network_file)
    lba(*build, "--index", "gallery", "--thresholds", thresholds)
    query = ("search", "query", "gallery", "cam3", "--modality", "infrared", "--top", 50, "--json", "r.json", "--force")
    limit = json.loads(thresholds.read_text())["results"][0]["verification"]["mean"]["threshold_at_0.1"]
    for change in ((), ("remove", "gallery", "cam1/*/0001.jpg"), ("add", "gallery", "cam1")):
        if change:
            lba("search", *change)
        lba(*query, "--far", 0.1)
        kept = json.loads((photos / "r.json").read_text())
        assert kept["min_score"] == limit
        lba(*query)
        everything = json.loads((photos / "r.json").read_text())
        for some, every in zip(kept["queries"], everything["queries"], strict=True):
            assert some["results"] == [hit for hit in every["results"] if hit["score"] >= limit]
    assert "at FAR 0.1" in words(lba("search", "info", "gallery"))

    # Without thresholds in the index, a file is named, which must be of the same model.
    lba(*build, "--index", "plain")
    question = ("search", "query", "plain", "cam3", "--modality", "infrared")
    assert "no thresholds are known for --far" in refused(lba(*question, "--far", 0.1, status=2))
    lba(*question, "--far", 0.1, "--thresholds", thresholds)
    text = thresholds.read_text()
    thresholds.write_text(text.replace(json.loads(text)["results"][0]["verification"]["model"], "f" * 64))
    message = refused(lba(*question, "--far", 0.1, "--thresholds", thresholds, status=2))
    assert "holds the thresholds of another model" in message


def test_a_query_without_a_match_finds_nobody(lba, gallery, photos):
    query = ("search", "query", gallery, "cam3", "--modality", "infrared")
    result = lba(*query, "--min-score", 1, "--json", "r.json")
    assert "nobody in the gallery scores 1.0000 or more" in words(result)
    assert all(entry["results"] == [] for entry in json.loads((photos / "r.json").read_text())["queries"])
    assert "nobody" not in words(lba(*query, "--min-score", -1))


def test_several_images_of_one_person_are_one_query(lba, gallery, tiny, photos):
    person = sorted((photos / "cam3").iterdir())[0]
    query = ("search", "query", gallery, person, "--modality", "infrared", "--json", "r.json", "--force")
    lba(*query, "--together")
    content = json.loads((photos / "r.json").read_text())
    count = len(list(person.glob("*.jpg")))
    (ranked,) = content["queries"]
    assert ranked["query"].startswith(f"{count} images together: ")
    assert content["together"] is True
    assert len(ranked["images"]) == count
    lba(*query, "--together", "--tracks")
    (ranked,) = json.loads((photos / "r.json").read_text())["queries"]
    assert {hit["path"] for hit in ranked["results"]} == {str(path) for path in sorted((tiny / "cam1").iterdir())[:4]}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--far", 0.1, "--min-score", 0.5), "--min-score and --far both choose the lowest score"),
        (("--thresholds", "t.json"), "--thresholds needs --far RATE"),
        (("--far", 0.1, "--thresholds", "t.json"), "t.json: no such file"),
        (("--tracks", "--engine", "faiss"), "--tracks is not available with --engine faiss"),
        (("--tracks", "--picture", "x.png"), "--picture shows single images"),
        (("--together", "--picture", "x.png"), "--picture shows single images"),
    ],
)
def test_options_that_contradict_each_other_are_refused(lba, gallery, photos, options, message):
    query = ("search", "query", gallery, "cam3", "--modality", "infrared")
    assert message in refused(lba(*query, *options, status=2))


def test_thresholds_do_not_hold_within_a_modality(lba, gallery, photos):
    query = ("search", "query", gallery, "cam1", "--modality", "visible", "--same-modality")
    assert "thresholds are measured between infrared and visible images" in refused(lba(*query, "--far", 0.1, status=2))


def test_features_that_are_all_alike_have_no_thresholds(lba, store, network_file, tmp_path):
    lba("evaluate", network_file, "--data", store, "--save-features", "f.npz")
    content = dict(np.load(tmp_path / "f.npz"))
    content["features"] = np.ones_like(content["features"])
    np.savez(tmp_path / "same.npz", **content)
    lba("evaluate", "--features", "same.npz", "--protocol-of", "sysu", "--verification", "--json", "s.json")
    figures = json.loads((tmp_path / "s.json").read_text())["results"][0]["verification"]["mean"]
    assert (figures["auc"], figures["eer"], figures["tar_at_0.1"]) == (0.5, 0.5, 0.0)
    assert "threshold_at_0.1" not in figures
