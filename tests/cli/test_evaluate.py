"""``lba evaluate`` from the command line: comparisons, variants, files, features, trials, and refusals."""

import csv
import json

import numpy as np
import pytest
import torch
from fake_dataset import MadeImages, tree

from lba_cli.cli import run_series
from lba_cli.datasets import get_dataset
from lba_cli.errors import Interrupted
from lba_cli.model.checkpoint import Checkpoint, read_checkpoint, write_checkpoint


def refused(result):
    """Return the error message, which must be one line."""
    assert "error: " in result.output, result.output
    (line,) = result.output.split("error: ", 1)[1].strip().splitlines()
    return line


def printed(result):
    """Return everything that was printed, as one line."""
    return " ".join(result.output.split())


@pytest.fixture(scope="session")
def other_file(network_file, tmp_path_factory):
    """A checkpoint of another network, of which one layer is noise."""
    checkpoint = read_checkpoint(network_file)
    weights = dict(checkpoint.weights)
    name = "trunk.layer4.1.conv2.weight"
    weights[name] = torch.randn(weights[name].shape, generator=torch.Generator().manual_seed(1))
    path = tmp_path_factory.mktemp("other") / "other.pt"
    write_checkpoint(path, Checkpoint(checkpoint.description, weights))
    return path


@pytest.mark.slow
def test_figures_in_bfloat16_say_so(lba, network_file, tmp_path):
    result = lba("evaluate", network_file, "--precision", "bfloat16", "--json", "f.json")
    assert "embeddings are computed in bfloat16" in printed(result)
    exact = lba("evaluate", network_file, "--json", "exact.json")
    assert "bfloat16" not in printed(exact)
    figures = [
        json.loads((tmp_path / name).read_text())["results"][0]["mean"]["mAP"] for name in ("f.json", "exact.json")
    ]
    assert figures[0] == pytest.approx(figures[1], abs=0.05)
    assert "leave out --precision" in refused(
        lba("evaluate", "--features", "x.npz", "--precision", "bfloat16", status=2)
    )


@pytest.mark.slow
def test_models_are_compared_in_the_table_and_in_every_file(lba, network_file, other_file, tmp_path):
    files = ("--json", "f.json", "--csv", "f.csv", "--markdown", "f.md")
    result = lba("evaluate", network_file, other_file, "--published", *files)
    for words in ("synthetic-tiny, community protocol, 10 draws", "Difference from", "published: full, retrained"):
        assert words in result.output
    content = json.loads((tmp_path / "f.json").read_text())
    assert [entry["checkpoint"] for entry in content["results"]] == [str(network_file), str(other_file)]
    first, other = (entry["mean"]["mAP"] for entry in content["results"])
    assert content["comparison"][0]["difference"]["mAP"] == pytest.approx(other - first)
    assert len(content["published"]) == 5
    kinds = [row["kind"] for row in csv.DictReader((tmp_path / "f.csv").open())]
    assert kinds == ["measured", "measured", *["published"] * 5]
    assert "| published: full, released weights" in (tmp_path / "f.md").read_text()


@pytest.mark.slow
def test_variants_are_rows_beside_the_plain_one(lba, network_file, tmp_path):
    lba("evaluate", network_file, "--flip", "--rerank", "--set", "evaluation.rerank_k1=5", "--json", "f.json")
    extras = json.loads((tmp_path / "f.json").read_text())["results"]
    assert [entry["variant"] for entry in extras] == ["plain", "flip", "rerank(k1=5)", "flip+rerank(k1=5)"]
    assert [entry["reranking"] for entry in extras] == [None, None, *[{"k1": 5, "k2": 6, "lambda": 0.3}] * 2]
    lba("evaluate", network_file, "--json", "plain.json")
    plain = json.loads((tmp_path / "plain.json").read_text())["results"]
    assert plain == extras[:1]


def test_saved_features_score_as_their_network(lba, network_file, tmp_path):
    lba("evaluate", network_file, "--mode", "all", "--save-features", "f.npz", "--json", "network.json")
    result = lba("evaluate", "--features", "f.npz", "--mode", "all", "--rerank", "--json", "features.json")
    assert "rank1" in result.output
    of_network, of_features = (
        json.loads((tmp_path / f"{name}.json").read_text())["results"] for name in ("network", "features")
    )
    plain = [entry for entry in of_features if entry["variant"] == "plain"]
    for entry in (*of_network, *plain):
        assert (entry.pop("checkpoint"), entry.pop("epoch")) in ((str(network_file), 0), ("f.npz", None))
    assert of_network == plain


def test_features_are_scored_by_the_protocol_of_any_data_set(lba, tmp_path):
    samples = tree("llcm")
    random = np.random.default_rng(0)
    np.savez(
        tmp_path / "features.npz",
        features=random.normal(size=(len(samples), 8)),
        identities=np.array([s.identity for s in samples]),
        modalities=np.array([s.modality for s in samples]),
        cameras=np.array([s.camera for s in samples]),
        trained_on=np.array("other data"),
    )
    assert "--protocol-of (sysu, regdb, llcm, folder)" in refused(
        lba("evaluate", "--features", "features.npz", status=2)
    )
    for dataset in ("llcm", "regdb", "folder"):
        output = lba("evaluate", "--features", "features.npz", "--protocol-of", dataset).output
        assert "trained on other data, scored on features" in output
        assert "visible-to-infrared" in output
    words = ("evaluate", "--features", "features.npz", "--protocol-of", "llcm")
    assert "transposes its matrix" in lba(*words, "--protocol", "released").output
    assert "need a network" in refused(lba(*words, "--flip", status=2))
    assert "leave out --data" in refused(lba(*words, "--data", "x", status=2))


def test_a_mode_that_the_data_set_lacks_is_refused(lba, network_file):
    message = refused(lba("evaluate", network_file, "--mode", "visible-to-infrared", status=2))
    assert message.startswith("SYSU-MM01 has no mode 'visible-to-infrared'; it has all-search, indoor-search")
    assert "the protocol of its data set" in refused(lba("evaluate", network_file, "--protocol-of", "llcm", status=2))


def test_files_that_cannot_be_written_are_refused_before_the_work(lba, tmp_path, monkeypatch):
    def work(*_, **__):
        pytest.fail("the work began")

    monkeypatch.setattr("lba_cli.cli.checkpoints.read_checkpoint", work)
    (tmp_path / "there").write_text("precious")
    for option in ("--json", "--csv", "--markdown", "--save-features"):
        assert "exists already" in refused(lba("evaluate", "x.pt", option, "there", status=2))
        assert "exists already" in refused(lba("evaluate", "x.pt", option, ".", "--force", status=2))
        assert "is not a writable folder" in refused(lba("evaluate", "x.pt", option, "there/f", status=2))
    same = lba("evaluate", "x.pt", "--json", "f", "--csv", "f", status=2)
    assert "--json and --csv name the same file" in refused(same)
    nested = lba("evaluate", "x.pt", "--json", "x.json", "--csv", "x.json/x.csv", status=2)
    assert "--json and --csv can't both be written: one is a file where the other needs a folder" in refused(nested)
    assert (tmp_path / "there").read_text() == "precious"


def test_force_replaces_files(lba, network_file, tmp_path):
    (tmp_path / "f.md").write_text("old")
    lba("evaluate", network_file, "--markdown", "f.md", "--force")
    assert "| model |" in (tmp_path / "f.md").read_text()


def test_settings_without_published_results_are_reported(lba, network_file):
    result = lba("evaluate", network_file, "--mode", "indoor-search", "--published")
    assert "no published results for these settings" in result.output


def small_regdb(trial):
    """Make a small RegDB, whose every trial trains on identities 1 to 6 and tests on 7 to 12."""
    samples = tree("regdb", range(1, 7), split="train") + tree("regdb", range(7, 13))
    return MadeImages(samples, "regdb", trial or 1, name="RegDB")


def replace_open_data(monkeypatch, open_data):
    """Let every command open data sets by ``open_data``."""
    for module in ("datasets.open", "cli.checkpoints", "cli.run_series"):
        monkeypatch.setattr(f"lba_cli.{module}.open_data", open_data)


@pytest.fixture
def opened_trials(monkeypatch):
    """Let every command open the small RegDB instead of its data set; the trials that are opened, in order."""
    opened = []

    def open_data(config, listener):
        opened.append(config.trial)
        return small_regdb(config.trial)

    replace_open_data(monkeypatch, open_data)
    monkeypatch.setattr("lba_cli.cli.checkpoints.dataset_at", lambda *_: get_dataset("regdb"))
    return opened


def use_trials(monkeypatch, numbers):
    """Let --trials all mean fewer than ten trials, to save time."""
    monkeypatch.setattr(run_series, "TRIALS", numbers)


ONE_STEP = ("--set", "train.epochs=1", "--set", "train.steps_per_epoch=1", "--set", "train.evaluate_every=0")


@pytest.mark.slow
def test_a_model_is_trained_and_scored_for_each_trial(lba, opened_trials, small_yaml, tmp_path, monkeypatch):
    assert list(run_series.TRIALS) == [*range(1, 11)]
    use_trials(monkeypatch, range(1, 5))
    lba("train", "--config", small_yaml, "--trials", "all", "--output", "ten", *ONE_STEP)
    networks = [read_checkpoint(tmp_path / f"ten/trial-{t}/checkpoints/last.pt") for t in run_series.TRIALS]
    assert [network.description.trial for network in networks] == [1, 2, 3, 4]
    opened_trials.clear()
    result = lba("evaluate", "--trials", "all", "--checkpoint", "ten", "--json", "f.json")
    assert opened_trials == [1, 2, 3, 4]
    assert "RegDB, trials 1–4, community protocol, in percent" in printed(result)
    for entry in json.loads((tmp_path / "f.json").read_text())["results"]:
        assert entry["trial_numbers"] == [1, 2, 3, 4]
        assert len(entry["trials"]) == 4
        assert entry["mean"]["mAP"] == pytest.approx(np.mean([trial["mAP"] for trial in entry["trials"]]))

    # The folder of all trials is refused where one run is meant.
    message = refused(lba("evaluate", "ten", status=2))
    assert "a folder of trials, each with a run of its own" in message
    assert "ten/trial-1" in message
    assert "--trials all" in message

    # The model of one trial is scored on that trial, and refused on another one.
    one = "ten/trial-3"
    assert "RegDB, trial 3, community protocol, in percent" in printed(lba("evaluate", one))
    message = refused(lba("evaluate", one, "--set", "data.trial=4", status=2))
    assert "trained on trial 3 of RegDB, this is trial 4" in message
    assert "inflate" in message
    drawn = lba("visualize", "ranking", "--checkpoint", one, "--set", "data.trial=4", status=2)
    assert "trained on trial 3 of RegDB, this is trial 4" in refused(drawn)
    message = refused(lba("evaluate", one, "ten/trial-1", status=2))
    assert "ten/trial-1/checkpoints/last.pt would be scored on other images than" in message
    assert "trial 1 instead of trial 3" in message
    allowed = printed(lba("evaluate", one, "--set", "data.trial=4", "--allow-other-trial"))
    assert "trained on RegDB (trial 3), scored on RegDB, trial 4" in allowed
    assert "scored on people that the model was trained on (trial 4): figures are inflated" in allowed
    files = ("--json", "one.json", "--csv", "one.csv", "--markdown", "one.md")
    allowed = printed(lba("evaluate", one, "--trials", "all", "--allow-other-trial", *files))
    assert "trained on RegDB (trial 3), scored on RegDB, trials 1–4" in allowed
    note = "scored on people that the model was trained on (trials 1–2, 4): figures are inflated"
    for text in (allowed, *((tmp_path / f"one.{ending}").read_text() for ending in ("json", "csv", "md"))):
        assert note in text.replace("\\u2013", "–")

    # Missing trials are named and can be trained later; complete ones are skipped.
    for trial in (2, 4):
        (tmp_path / f"ten/trial-{trial}/checkpoints/last.pt").unlink()
        for file in sorted((tmp_path / f"ten/trial-{trial}").rglob("*"), reverse=True):
            file.unlink() if file.is_file() else file.rmdir()
    message = refused(lba("evaluate", "--trials", "all", "ten", status=2))
    assert "no checkpoint of trial-2, trial-4:" in message
    assert "lba train --trials all --resume ten" in message
    output = lba("train", "--trials", "all", "--resume", "ten").output
    assert output.count("is already complete") == 2
    assert "ten/trial-4" in output
    lba("evaluate", "--trials", "all", "ten")


def test_trials_all_is_refused_for_a_data_set_without_trials(lba, store, small_yaml, network_file, tmp_path):
    message = refused(
        lba("train", "--config", small_yaml, "--data", store, "--trials", "all", "--output", "x", status=2)
    )
    assert message.startswith("synthetic-tiny has a single train/test split: leave out --trials all")
    assert not (tmp_path / "x").exists()
    message = refused(lba("evaluate", "--trials", "all", network_file, status=2))
    assert message.startswith("synthetic-tiny has a single train/test split: leave out --trials all")
    assert "trial-1, trial-2" in refused(lba("evaluate", "--trials", "all", tmp_path, status=2))
    assert "lba train --trials all" in refused(lba("evaluate", "--trials", "all", status=2))
    assert "not a folder of trials or seeds" in refused(lba("train", "--trials", "all", "--resume", "x", status=2))


def test_one_trial_cannot_be_set_for_all(lba, opened_trials, small_yaml):
    words = ("--trials", "all", "--output", "x", "--set", "data.trial=4", *ONE_STEP)
    assert "leave out --set data.trial" in refused(lba("train", "--config", small_yaml, *words, status=2))


def test_an_interrupted_trial_says_how_to_continue(lba, opened_trials, small_yaml, monkeypatch):
    train = run_series.train

    def stop_in_the_second(config, *rest, **options):
        if config.data.trial == 2:
            raise Interrupted(2, "stopped")
        return train(config, *rest, **options)

    monkeypatch.setattr(run_series, "train", stop_in_the_second)
    words = ("train", "--config", small_yaml, "--trials", "all", "--output", "x", *ONE_STEP)
    result = lba(*words, status=130)
    assert "stopped in x/trial-2; continue with: lba train --trials all --resume x" in result.output


def test_a_model_is_scored_on_another_data_set(lba, opened_trials, network_file, monkeypatch):
    """The model was trained on synthetic SYSU-MM01, whose modes and shots must not be asked of RegDB."""
    output = printed(lba("evaluate", network_file, "--data", "anywhere"))
    assert "trained on synthetic-tiny, scored on RegDB, trial 1, community" in output
    assert "does not say whom it was trained on (synthetic-tiny is assumed)" in output
    use_trials(monkeypatch, range(1, 4))
    output = printed(lba("evaluate", network_file, "--data", "anywhere", "--trials", "all"))
    assert "trained on synthetic-tiny, scored on RegDB, trials 1–3, community protocol, in percent" in output


def test_models_scored_on_different_images_are_not_compared(lba, network_file, other_file, monkeypatch):
    names = iter(("one", "two"))

    def open_data(*_):
        source = small_regdb(1)
        source.fingerprint = next(names)
        return source

    replace_open_data(monkeypatch, open_data)
    monkeypatch.setattr("lba_cli.cli.evaluate_models._source", lambda opened, *_: opened.images())
    message = refused(lba("evaluate", network_file, other_file, status=2))
    assert "would be scored on other images than" in message
    assert "the same test identities in other files" in message
    assert "--data" in message
