"""``lba visualize report``: reports on every data set and on a run, and errors."""

import pytest
from report_pages import data_of

FEWER = ("--queries", 3, "--people", 2, "--points", 9)


def test_a_bad_path_is_refused_before_any_work(lba, tmp_path):
    """There is no checkpoint either, but the path is checked first."""
    (tmp_path / "x.html").write_text("mine")
    assert "--force" in lba("visualize", "report", "--output", "x.html", status=2).output
    assert (tmp_path / "x.html").read_text() == "mine"
    assert ".html" in lba("visualize", "report", "--output", "x.pdf", status=2).output
    (tmp_path / "file").write_text("")
    assert "not a writable folder" in lba("visualize", "report", "--output", "file/x.html", status=2).output


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["sysu", "regdb", "llcm", "folder"])
def test_every_data_set_has_reports(lba, network_file, trees, dataset, tmp_path):
    trial = ("--set", "data.trial=2") if dataset == "regdb" else ()
    words = ("--checkpoint", network_file, "--data", trees[dataset], "--mode", "all", *trial, *FEWER)
    result = lba("visualize", "report", *words)
    assert "figures/report.html is written" in result.output
    found = data_of((tmp_path / "figures" / "report.html").read_text())
    assert len(found["cmc"]) == 2
    assert len(found["cmc"][0]["mean"]) == 20
    assert found["summary"]["dataset"] == "synthetic-tiny"
    assert len(found["lists"]["lists"]) == 3


@pytest.mark.slow
def test_the_report_of_a_run_has_its_curves(lba, store, small_yaml, tmp_path):
    lba("train", "--config", small_yaml, "--data", store, "--output", "run")
    lba("visualize", "report", "--checkpoint", "run", "--output", "r.html", *FEWER)
    found = data_of((tmp_path / "r.html").read_text())
    assert found["summary"]["has_run"]
    assert found["summary"]["model"] == "run"
    assert [point[0] for point in found["curves"]["losses"][0]["points"]] == [0, 1]
    assert {line["name"] for line in found["curves"]["figures"]} == {"rank-1", "mAP", "mINP"}


@pytest.mark.slow
def test_the_report_says_that_the_model_was_trained_on_the_test_people(lba, trees, small_yaml, tmp_path):
    step = ("--set", "train.epochs=1", "--set", "train.steps_per_epoch=1", "--set", "train.evaluate_every=0")
    lba(
        "train",
        "--config",
        small_yaml,
        "--data",
        trees["regdb"],
        "--set",
        "data.trial=2",
        *step,
        "--output",
        "ten/trial-2",
    )
    report = ("visualize", "report", "--checkpoint", "ten/trial-2", *FEWER)
    other = ("--set", "data.trial=3")
    refused = " ".join(lba(*report, *other, "--output", "r.html", status=2).output.split())
    assert "trained on trial 2 of synthetic-tiny, this is trial 3" in refused
    assert "--allow-other-trial" in refused
    assert not (tmp_path / "r.html").exists()
    lba(*report, *other, "--allow-other-trial", "--output", "other.html")
    note = "scored on people that the model was trained on (trial 3): figures are inflated"
    assert summary_of(tmp_path / "other.html")["inflation_note"] == note
    lba(*report, "--output", "own.html")
    assert summary_of(tmp_path / "own.html")["inflation_note"] == ""
    assert (
        "one of ten trials; papers report the mean over all of them" in summary_of(tmp_path / "own.html")["notes"][-1]
    )
    message = " ".join(lba("visualize", "report", "--checkpoint", "ten", status=2).output.split())
    assert "name one, such as ten/trial-2" in message
    assert "lba evaluate --trials all --checkpoint ten" in message


def summary_of(path):
    return data_of(path.read_text())["summary"]


def test_file_names_that_are_not_utf_8_are_shown(lba, network_file, store, tmp_path):
    """Other systems create folders whose names aren't UTF-8."""
    folder = tmp_path / "r\udcff<b>&"
    folder.mkdir()
    (folder / "net.pt").write_bytes(network_file.read_bytes())
    lba("visualize", "report", "--checkpoint", folder / "net.pt", "--data", store, "--output", "r.html", *FEWER)
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "r?&lt;b&gt;&amp;/net.pt on synthetic-tiny</title>" in text
    assert data_of(text)["summary"]["model"].endswith("r\udcff<b>&/net.pt")
