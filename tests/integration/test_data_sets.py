"""Every data set from its files to pictures: prepare, train for a step, evaluate every mode, visualize."""

import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # the quick tests take a data set of their own through all commands, see tests/datasets

DIRECTIONS = ["infrared-to-visible", "visible-to-infrared"]
STEP = ("--set", "train.epochs=1", "--set", "train.steps_per_epoch=1")
# The options of the evaluation, and the modes and shots that it must report.
MEASURED = {
    "sysu": (("--mode", "all", "--shots", "both"), ["all-search", "indoor-search"], ["single", "multi"]),
    "regdb": (("--mode", "all"), DIRECTIONS[::-1], ["whole"]),
    "llcm": (("--mode", "all"), DIRECTIONS, ["single"]),
    "folder": (("--mode", "all", "--shots", "both"), DIRECTIONS, ["single", "multi"]),
}


@pytest.fixture
def trained(lba, small_yaml, trees, make_once):
    """Prepare a data set and train on it for one step, once for all tests: ``trained("llcm")`` is the run's folder."""

    def run_of(dataset):
        def make(folder):
            trial = ("--set", "data.trial=2") if dataset == "regdb" else ()
            lba("prepare", dataset, "--root", trees[dataset], "--output", folder / "store", "--config", small_yaml)
            words = ("--config", small_yaml, "--data", folder / "store", *trial, *STEP)
            lba("train", *words, "--output", folder / "run")

        return make_once(f"trained-on-{dataset}", make) / "run"

    return run_of


@pytest.mark.parametrize("dataset", MEASURED)
def test_from_files_to_pictures(lba, trained, trees, dataset, tmp_path):
    run = trained(dataset)
    words, modes, shots = MEASURED[dataset]
    lba("evaluate", run, *words, "--json", "f.json")
    results = json.loads((tmp_path / "f.json").read_text())["results"]
    assert [(r["mode"], r["shots"]) for r in results] == [(mode, shot) for mode in modes for shot in shots]
    for result in results:
        assert len(result["trials"]) == (1 if dataset == "regdb" else 10)
        assert all(0 < figure <= 1 for name, figure in result["mean"].items())
        assert result["trial_numbers"] == ([2] if dataset == "regdb" else [])
    # The folder gives the same figures as the store.
    lba("evaluate", run, *words, "--data", trees[dataset], "--json", "folder.json")
    again = json.loads((tmp_path / "folder.json").read_text())["results"]
    where = {"root": None, "trained_on": None}  # results name the place of a user's own folders
    assert [{**result, **where} for result in again] == [{**result, **where} for result in results]
    for mode in modes:
        lba("visualize", "ranking", "--checkpoint", run, "--mode", mode, "--output", f"{mode}.png")
        assert (tmp_path / f"{mode}.png").read_bytes().startswith(b"\x89PNG")
    lba("visualize", "correspondences", "--checkpoint", run, "--people", 2)
    assert (tmp_path / "figures" / "correspondences.png").is_file()


def test_a_model_of_any_data_set_is_scored_on_any_other(lba, trained, trees):
    """The config keys of its own data set don't stand in the way."""
    for dataset, others in (("regdb", ("sysu", "llcm", "folder")), ("llcm", ("sysu", "regdb", "folder"))):
        run = trained(dataset)
        for other in others:
            trial = ("--set", "data.trial=1") if other == "regdb" else ()
            output = " ".join(lba("evaluate", run, "--data", trees[other], *trial).output.split())
            words = {"regdb": ", trial 1, community protocol", "folder": " at "}.get(other, ", community protocol")
            assert f"trained on synthetic-tiny ({dataset}), scored on synthetic-tiny ({other}){words}" in output


def test_evaluation_keys_of_a_run_do_not_apply_to_other_data_sets(lba, small_yaml, trees):
    words = ("--config", small_yaml, "--data", trees["sysu"], *STEP, "--set", "evaluation.mode=indoor-search")
    lba("train", *words, "--set", "evaluation.protocol=official", "--output", "indoors")
    own = lba("evaluate", "indoors").output
    assert "official protocol" in own
    assert "indoor-search" in own
    assert "visible-to-infrared" in lba("evaluate", "indoors", "--data", trees["llcm"]).output


def test_another_trial_than_the_models_is_refused(lba, trained):
    run = trained("regdb")
    result = lba("evaluate", run, "--set", "data.trial=3", status=2)
    assert "trained on trial 2 of synthetic-tiny, this is trial 3" in result.output
    assert "inflate the figures" in result.output
    lba("evaluate", run, "--set", "data.trial=3", "--allow-other-trial")


def test_the_protocol_of_llcms_release_is_explained(lba, trained):
    output = lba("evaluate", trained("llcm"), "--protocol", "released").output
    assert "released protocol" in output
    assert "transposes its matrix of scores" in " ".join(output.split())


def test_distractors_of_a_folder_are_counted(lba, trained):
    assert "gallery identities without a query (distractors)" in lba("evaluate", trained("folder")).output


def test_another_test_split_of_a_folder_is_refused(lba, small_yaml, trees):
    lba("train", "--config", small_yaml, "--data", trees["folder"], *STEP, "--output", "run")
    lba("evaluate", "run")
    result = lba("evaluate", "run", "--set", "data.split_seed=5", status=2)
    assert "test people are among those that the model was trained on" in result.output
    words = ("--set", "data.split_seed=5", "--allow-other-trial", "--json", "figures.json", "--save-features", "f.npz")
    insisted = " ".join(lba("evaluate", "run", *words).output.split())
    again = " ".join(lba("evaluate", "--features", "f.npz").output.split())
    for text in (insisted, again, Path("figures.json").read_text()):
        assert "scored on people that the model was trained on (person 0" in text
        assert "figures are inflated" in text


@pytest.mark.slow
def test_figures_of_a_run_that_was_started_from_another_split_are_noted(lba, small_yaml, trees):
    train = ("train", "--config", small_yaml, "--data", trees["folder"], *STEP)
    lba(*train, "--output", "first")
    warm = ("--set", "data.split_seed=5", "--set", "model.pretrained=first/checkpoints/last.pt", "--output", "second")
    note = "the model that it was started from was trained on ("
    assert " ".join(lba(*train, *warm).output.split()).count(note) == 2
    assert note in json.loads(Path("second/metrics.jsonl").read_text())["evaluation"]["note"]
    assert note in " ".join(lba("evaluate", "second", status=2).output.split())
    lba("export", "--checkpoint", "second", "--format", "safetensors", "--output", "second.safetensors")
    assert "that it was started from was trained on" in Path("second.safetensors.md").read_text()
    assert note in " ".join(lba("evaluate", "second.safetensors", status=2).output.split())
    assert "this run's figures: scored on" in lba("visualize", "curves", "--run", "second").output
