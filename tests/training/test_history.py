"""Whom a run's network is trained on, and advice where there are too few people."""

from dataclasses import replace

import pytest
from fake_listener import Recorder
from small_setup import SMALL, refused

from lba_cli.config import ConfigLayer, resolve_config
from lba_cli.data.store import FolderImages
from lba_cli.datasets.folder import FolderOptions, read_folder
from lba_cli.errors import TrainingError
from lba_cli.evaluation.leakage import training_people
from lba_cli.model.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from lba_cli.reporting import Silent
from lba_cli.training.components import build_history, build_sampler


def photos(root, names, modalities=("visible", "infrared"), **options):
    """Write images of one byte more each, which nobody decodes, and open them."""
    for name in names:
        for modality in modalities:
            (root / modality / name).mkdir(parents=True, exist_ok=True)
            (root / modality / name / "1.png").write_text(f"{name} {modality}")
    return FolderImages(read_folder(root, FolderOptions(**options)), 64, 32)


def config(**train):
    return resolve_config([ConfigLayer({**SMALL, "train": {**SMALL["train"], **train}}, "the test")])


def history(source, checkpoint=None, pretrained="none", listener=None, **train):
    run = config(**train)
    run = run.model_copy(update={"model": run.model.model_copy(update={"pretrained": str(pretrained)})})
    return build_history(run, source, build_sampler(run, source, Silent()), checkpoint, listener or Silent())


@pytest.fixture
def model_of(network_file, tmp_path):
    """Write a checkpoint that was trained on a source."""

    def make(source, name="net.pt"):
        checkpoint = read_checkpoint(network_file)
        people = training_people(source, (), Silent())
        description = replace(checkpoint.description, dataset=source.name, people=people)
        write_checkpoint(tmp_path / name, Checkpoint(description, checkpoint.weights))
        return tmp_path / name

    return make


def test_a_run_on_its_own_people_has_no_note(tmp_path):
    source, warnings = photos(tmp_path / "shots", "abcdef"), Recorder()
    found = history(source, listener=warnings)
    assert (len(found.people), found.earlier, found.note, warnings.warnings) == (3, (), "", [])


def test_a_warm_start_from_another_split_is_warned_about_and_noted(tmp_path, model_of):
    first = model_of(photos(tmp_path / "shots", "abcdef", split_seed=1))
    warnings = Recorder()
    found = history(photos(tmp_path / "shots", "abcdef"), pretrained=first, listener=warnings)
    assert "among those that the model that it was started from was trained on" in warnings.warnings[0]
    assert "inflates all figures of this run" in warnings.warnings[0]
    assert "figures are inflated" in found.note
    assert [record.dataset for record in found.earlier] == ["shots"]


@pytest.mark.parametrize(("trained", "noted"), [("ac", True), ("ae", False)])
def test_figures_of_validation_people_are_noted_if_the_earlier_model_knew_them(tmp_path, model_of, trained, noted):
    root = tmp_path / "shots"
    lists = {"train_ids": "ab", "validation_ids": "cd", "test_ids": "ef"}
    photos(root, "abcdef")
    for name, people in {**lists, "trained": trained, "others": "bdf"}.items():
        (root / name).write_text("\n".join(people))
    first = model_of(photos(root, "", train_ids="trained", test_ids="others"))
    run = photos(root, "", **{name: name for name in lists})
    found = history(run, pretrained=first, identities=2)
    assert ("(c): figures are inflated" in found.note) is noted


def test_a_warm_start_from_the_same_split_has_no_note(tmp_path, model_of):
    source = photos(tmp_path / "shots", "abcdef")
    assert not history(source, pretrained=model_of(source)).note


def test_a_resumed_run_keeps_what_it_was_started_from_and_needs_the_same_images(tmp_path, model_of):
    source = photos(tmp_path / "shots", "abcdef")
    started = read_checkpoint(model_of(source))
    earlier = [{"dataset": "RegDB", "trial": 2, "people": {}}]
    state = replace(started, description=replace(started.description, earlier=earlier))
    assert [vars(record) for record in history(source, state).earlier] == earlier
    with pytest.raises(TrainingError, match="shots: not the images that the run was started on"):
        history(photos(tmp_path / "shots", "0"), state)
    changed = next((tmp_path / "shots/visible").glob("b/*"))
    changed.write_text("another")  # of the same name
    with pytest.raises(TrainingError, match="shots: not the images that the run was started on"):
        history(photos(tmp_path / "shots", ""), state)


def sampler(source, **train):
    return build_sampler(config(**train), source, Silent())


def test_of_two_people_one_is_tested_with_and_the_advice_helps(tmp_path):
    message = refused(
        lambda: sampler(photos(tmp_path / "two", "ab")), "1 identity to train on", "1 is in the test split"
    )
    assert "data.test_share=0" in message
    assert "train.identities" not in message
    sampler(photos(tmp_path / "two", "ab", test_share=0), identities=2)


def test_nobody_to_train_on_is_explained_by_the_test_split(tmp_path):
    refused(
        lambda: sampler(photos(tmp_path / "all", "abc", test_share=1)), "3 are in the test split", "data.test_share=0"
    )


def test_one_person_is_not_enough_whatever_the_split_is(tmp_path):
    message = refused(lambda: sampler(photos(tmp_path / "one", "a")), "add people", "(1 is in the test split)")
    assert "test_share" not in message
    refused(lambda: sampler(photos(tmp_path / "one", "a", test_share=0)), "there is 1 identity", "add people")


def test_a_fixed_split_is_not_advised_to_change(source):
    class Few:
        name, dataset, trial = source.name, source.dataset, source.trial
        samples = tuple(s for s in source.samples if s.split == "test" or s.identity == source.samples[0].identity)

    message = refused(lambda: sampler(Few()), "there is 1 identity to train on", "complete this copy")
    assert "data." not in message
