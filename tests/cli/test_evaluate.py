"""``lba evaluate`` as people type it: models side by side, extras, files, features, and what is refused."""

import csv
import json

import numpy as np
import pytest
import torch
from fake_dataset import MadeImages, tree

from lba_cli.cli import trials
from lba_cli.errors import Interrupted
from lba_cli.model.checkpoint import Checkpoint, read_checkpoint, write_checkpoint


def refused(result):
    """The error, which is one line."""
    assert "error: " in result.output, result.output
    (line,) = result.output.split("error: ", 1)[1].strip().splitlines()
    return line


def told(result):
    """What was printed, in one line."""
    return " ".join(result.output.split())


@pytest.fixture(scope="session")
def other_file(network_file, tmp_path_factory):
    """Another network: one layer of it is noise."""
    checkpoint = read_checkpoint(network_file)
    weights = dict(checkpoint.weights)
    name = "trunk.layer4.1.conv2.weight"
    weights[name] = torch.randn(weights[name].shape, generator=torch.Generator().manual_seed(1))
    path = tmp_path_factory.mktemp("other") / "other.pt"
    write_checkpoint(path, Checkpoint(checkpoint.description, weights))
    return path


def test_models_side_by_side_in_every_file(lba, network_file, other_file, tmp_path):
    files = ("--json", "f.json", "--csv", "f.csv", "--markdown", "f.md")
    result = lba("evaluate", network_file, other_file, "--published", *files)
    for words in ("synthetic-tiny, community protocol, 10 trials", "Difference to", "published: full, retrained"):
        assert words in result.output
    content = json.loads((tmp_path / "f.json").read_text())
    assert [entry["checkpoint"] for entry in content["results"]] == [str(network_file), str(other_file)]
    first, other = (entry["mean"]["mAP"] for entry in content["results"])
    assert content["comparison"][0]["difference"]["mAP"] == pytest.approx(other - first)
    assert len(content["published"]) == 3
    kinds = [row["kind"] for row in csv.DictReader((tmp_path / "f.csv").open())]
    assert kinds == ["measured", "measured", "published", "published", "published"]
    assert "| published: full, released weights" in (tmp_path / "f.md").read_text()


def test_extras_are_rows_beside_the_plain_one(lba, network_file, tmp_path):
    lba("evaluate", network_file, "--flip", "--rerank", "--set", "evaluation.rerank_k1=5", "--json", "f.json")
    extras = json.loads((tmp_path / "f.json").read_text())["results"]
    assert [entry["variant"] for entry in extras] == ["plain", "flip", "rerank(k1=5)", "flip+rerank(k1=5)"]
    assert [entry["reranking"] for entry in extras] == [None, None, *[{"k1": 5, "k2": 6, "lambda": 0.3}] * 2]
    lba("evaluate", network_file, "--json", "plain.json")
    plain = json.loads((tmp_path / "plain.json").read_text())["results"]
    assert plain == extras[:1]


def test_features_written_and_scored(lba, network_file, tmp_path):
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


def test_the_same_features_by_another_protocol(lba, tmp_path):
    samples = tree("llcm")
    random = np.random.default_rng(0)
    np.savez(
        tmp_path / "theirs.npz",
        features=random.normal(size=(len(samples), 8)),
        identities=np.array([s.identity for s in samples]),
        modalities=np.array([s.modality for s in samples]),
        cameras=np.array([s.camera for s in samples]),
        trained_on=np.array("their data"),
    )
    assert "--protocol-of sysu, regdb, llcm, folder" in refused(lba("evaluate", "--features", "theirs.npz", status=2))
    for dataset in ("llcm", "regdb", "folder"):
        output = lba("evaluate", "--features", "theirs.npz", "--protocol-of", dataset).output
        assert "trained on their data, scored on theirs" in output
        assert "visible-to-infrared" in output
    words = ("evaluate", "--features", "theirs.npz", "--protocol-of", "llcm")
    assert "transposing its matrix" in lba(*words, "--protocol", "released").output
    assert "need a network" in refused(lba(*words, "--flip", status=2))
    assert "leave --data out" in refused(lba(*words, "--data", "x", status=2))


def test_words_that_the_data_set_lacks(lba, network_file):
    message = refused(lba("evaluate", network_file, "--mode", "visible-to-infrared", status=2))
    assert message.startswith("SYSU-MM01 has no mode 'visible-to-infrared'; it has all-search, indoor-search")
    assert "its data set's" in refused(lba("evaluate", network_file, "--protocol-of", "llcm", status=2))


def test_files_are_refused_before_the_work(lba, tmp_path, monkeypatch):
    def work(*_, **__):
        pytest.fail("the work began")

    monkeypatch.setattr("lba_cli.cli.checkpoints.read_checkpoint", work)
    (tmp_path / "there").write_text("precious")
    for option in ("--json", "--csv", "--markdown", "--save-features"):
        assert "exists already" in refused(lba("evaluate", "x.pt", option, "there", status=2))
        assert "exists already" in refused(lba("evaluate", "x.pt", option, ".", "--force", status=2))
        assert "is not a folder" in refused(lba("evaluate", "x.pt", option, "there/f", status=2))
    same = lba("evaluate", "x.pt", "--json", "f", "--csv", "f", status=2)
    assert "--json and --csv name the same file" in refused(same)
    assert (tmp_path / "there").read_text() == "precious"


def test_force_replaces_files(lba, network_file, tmp_path):
    (tmp_path / "f.md").write_text("old")
    lba("evaluate", network_file, "--markdown", "f.md", "--force")
    assert "| model |" in (tmp_path / "f.md").read_text()


def test_no_published_figures(lba, network_file):
    result = lba("evaluate", network_file, "--mode", "indoor-search", "--published")
    assert "published no figures for these settings" in result.output


def regdb(split):
    """A small RegDB: split n trains on identities 1 to 6 and tests on 7 to 12 in images of its own gray levels."""
    samples = tree("regdb", range(1, 7), split="train") + tree("regdb", range(7, 13))
    return MadeImages(samples, "regdb", split or 1, name="RegDB")


@pytest.fixture
def splits(monkeypatch):
    """Every data set that is opened is the small RegDB."""
    opened = []

    def open_images(root, dataset, height, width, listener, *, split=None, **_):
        opened.append(split)
        return regdb(split)

    monkeypatch.setattr("lba_cli.datasets.open.open_images", open_images)
    monkeypatch.setattr("lba_cli.cli.checkpoints.dataset_at", lambda *_: "regdb")
    return opened


ONE_STEP = ("--set", "train.epochs=1", "--set", "train.steps_per_epoch=1", "--set", "train.evaluate_every=0")


def test_a_model_for_each_split(lba, splits, small_yaml, tmp_path, monkeypatch):
    """Four of the ten splits, for time's sake."""
    assert list(trials.SPLITS) == [*range(1, 11)]
    for module in ("trials", "scoring"):
        monkeypatch.setattr(f"lba_cli.cli.{module}.SPLITS", range(1, 5))
    lba("train", "--config", small_yaml, "--trials", "all", "--output", "ten", *ONE_STEP)
    networks = [read_checkpoint(tmp_path / f"ten/trial-{t}/checkpoints/last.pt") for t in trials.SPLITS]
    assert [network.description.trial for network in networks] == [1, 2, 3, 4]
    splits.clear()
    result = lba("evaluate", "--trials", "all", "--checkpoint", "ten", "--json", "f.json")
    assert splits == [1, 2, 3, 4]
    assert "RegDB, splits 1–4, community protocol, 4 trials" in told(result)
    for entry in json.loads((tmp_path / "f.json").read_text())["results"]:
        assert entry["splits"] == [1, 2, 3, 4]
        assert len(entry["trials"]) == 4
        assert entry["mean"]["mAP"] == pytest.approx(np.mean([trial["mAP"] for trial in entry["trials"]]))

    # The folder of all of them where one is meant, or none is named.
    message = refused(lba("evaluate", "ten", status=2))
    assert "holds 4 trials, each a run" in message
    assert "ten/trial-1" in message
    assert "--trials all" in message

    # One of them by itself, and where it doesn't belong.
    one = "ten/trial-3"
    assert "RegDB, split 3, community protocol, 1 trial" in told(lba("evaluate", one))
    message = refused(lba("evaluate", one, "--set", "data.trial=4", status=2))
    assert "trained on split 3 of RegDB, this is split 4" in message
    assert "inflate" in message
    drawn = lba("visualize", "ranking", "--checkpoint", one, "--set", "data.trial=4", status=2)
    assert "trained on split 3 of RegDB, this is split 4" in refused(drawn)
    message = refused(lba("evaluate", one, "ten/trial-1", status=2))
    assert "ten/trial-1/checkpoints/best.pt would be scored on other images than" in message
    assert "split 1 instead of split 3" in message
    allowed = told(lba("evaluate", one, "--set", "data.trial=4", "--allow-other-trial"))
    assert "trained on RegDB (split 3), scored on RegDB, split 4" in allowed
    assert "scored on people that the model was trained on (split 4): figures are inflated" in allowed
    files = ("--json", "one.json", "--csv", "one.csv", "--markdown", "one.md")
    allowed = told(lba("evaluate", one, "--trials", "all", "--allow-other-trial", *files))
    assert "trained on RegDB (split 3), scored on RegDB, splits 1–4" in allowed
    note = "scored on people that the model was trained on (splits 1–2, 4): figures are inflated"
    for text in (allowed, *((tmp_path / f"one.{ending}").read_text() for ending in ("json", "csv", "md"))):
        assert note in text.replace("\\u2013", "–")

    # Finished trials are skipped, missing ones are named and can be trained.
    for trial in (2, 4):
        (tmp_path / f"ten/trial-{trial}/checkpoints/last.pt").unlink()
        for file in sorted((tmp_path / f"ten/trial-{trial}").rglob("*"), reverse=True):
            file.unlink() if file.is_file() else file.rmdir()
    message = refused(lba("evaluate", "--trials", "all", "ten", status=2))
    assert "trial-2, trial-4 of the trials" in message
    assert "lba train --trials all --resume ten" in message
    output = lba("train", "--trials", "all", "--resume", "ten").output
    assert output.count("is complete already") == 2
    assert "ten/trial-4" in output
    lba("evaluate", "--trials", "all", "ten")


def test_trials_are_only_for_data_sets_with_splits(lba, store, small_yaml, network_file, tmp_path):
    message = refused(
        lba("train", "--config", small_yaml, "--data", store, "--trials", "all", "--output", "x", status=2)
    )
    assert message.startswith("synthetic-tiny has one split: leave --trials all out")
    assert not (tmp_path / "x").exists()
    message = refused(lba("evaluate", "--trials", "all", network_file, status=2))
    assert message.startswith("synthetic-tiny has one split: leave --trials all out")
    assert "trial-1, trial-2" in refused(lba("evaluate", "--trials", "all", tmp_path, status=2))
    assert "lba train --trials all" in refused(lba("evaluate", "--trials", "all", status=2))
    assert "not a folder of trials" in refused(lba("train", "--trials", "all", "--resume", "x", status=2))


def test_the_trial_can_not_be_set_for_all(lba, splits, small_yaml):
    words = ("--trials", "all", "--output", "x", "--set", "data.trial=4", *ONE_STEP)
    assert "leave --set data.trial out" in refused(lba("train", "--config", small_yaml, *words, status=2))


def test_an_interrupted_trial_says_how_to_go_on(lba, splits, small_yaml, monkeypatch):
    train = trials.train

    def stop_in_the_second(run, *rest, **options):
        if run.data.trial == 2:
            raise Interrupted(2, "stopped")
        return train(run, *rest, **options)

    monkeypatch.setattr(trials, "train", stop_in_the_second)
    words = ("train", "--config", small_yaml, "--trials", "all", "--output", "x", *ONE_STEP)
    result = lba(*words, status=130)
    assert "stopped in x/trial-2; go on with: lba train --trials all --resume x" in result.output


def test_another_data_set_than_the_models(lba, splits, network_file, monkeypatch):
    """Trained on synthetic SYSU-MM01, scored on RegDB: the settings of its own data set don't stand in the way."""
    output = told(lba("evaluate", network_file, "--data", "anywhere"))
    assert "trained on synthetic-tiny, scored on RegDB, split 1, community" in output
    for module in ("trials", "scoring"):
        monkeypatch.setattr(f"lba_cli.cli.{module}.SPLITS", range(1, 4))
    output = told(lba("evaluate", network_file, "--data", "anywhere", "--trials", "all"))
    assert "trained on synthetic-tiny, scored on RegDB, splits 1–3, community protocol, 3 trials" in output


def test_models_of_different_images_are_not_set_side_by_side(lba, splits, network_file, other_file, monkeypatch):
    names = iter(("one", "two"))

    def open_images(*_, **__):
        source = regdb(1)
        source.fingerprint = next(names)
        return source

    monkeypatch.setattr("lba_cli.datasets.open.open_images", open_images)
    monkeypatch.setattr("lba_cli.cli.evaluate_models._Sources.of", lambda self, opened: opened.images())
    message = refused(lba("evaluate", network_file, other_file, status=2))
    assert "would be scored on other images than" in message
    assert "the same test identities in other files" in message
    assert "--data" in message
