"""Validation people choose ``best.pt``; they are neither trained on nor tested with."""

from copy import copy
from dataclasses import replace

import numpy as np
import pytest

from lba_cli.data.samples import identity_classes, selected_on
from lba_cli.data.store import selection_set
from lba_cli.evaluation.evaluate import evaluate
from lba_cli.evaluation.setting_choice import selection_setting
from lba_cli.model import load_network
from lba_cli.model.checkpoint import read_checkpoint
from lba_cli.reporting import Silent
from lba_cli.training.loop import train
from lba_cli.training.run_folder import RunFolder


@pytest.fixture(scope="module")
def divided(source):
    """The store with four of its test people for validation, and their identities."""
    people = set(sorted({sample.identity for sample in source.samples if sample.split == "test"})[:4])
    view = copy(source)
    view.samples = tuple(
        replace(s, split="val") if s.identity in people and s.split == "test" else s for s in source.samples
    )
    return view, people


def test_the_selection_holds_the_validation_people_alone(source, divided):
    view, people = divided
    selection = selection_set(view)
    assert (selected_on(source.samples), selected_on(view.samples)) == ("test", "validation")
    assert selection_set(source) is source
    assert {(sample.identity, sample.split) for sample in selection.samples} == {(person, "test") for person in people}
    places = [index for index, sample in enumerate(view.samples) if sample.split == "val"]
    np.testing.assert_array_equal(selection.read([0, 5]), view.read([places[0], places[5]]))
    assert {sample.split for sample in view.samples} == {"train", "val", "test"}  # the source itself stays as it is


@pytest.mark.slow
def test_the_best_epoch_is_chosen_by_the_validation_people(small_run, divided, tmp_path):
    view, people = divided
    folder, said = RunFolder(tmp_path / "run"), []
    listener = Silent()
    listener.say = said.append
    train(small_run(train__evaluate_every=1), view, folder, listener)
    description = read_checkpoint(folder.best).description
    assert description.selected_on == "validation"
    assert "best.pt is chosen by the mAP on 4 validation people" in said
    assert description.num_classes == len(identity_classes(view.samples))
    records = folder.records()
    assert {record["selected_on"] for record in records} == {"validation"}
    assert description.figures["mAP"] == max(record["evaluation"]["mAP"] for record in records)
    found = {}
    for name, images in (("val", selection_set(view)), ("test", view)):
        (result,) = evaluate(load_network(folder.best), images, [selection_setting(images)], listener=Silent())
        found[name] = result
    assert found["val"].mean()["mAP"] == pytest.approx(description.figures["mAP"], abs=1e-6)
    assert found["test"].num_query == sum(s.split == "test" and s.modality == "infrared" for s in view.samples)
    assert found["val"].num_query == sum(
        s.identity in people and s.split == "val" and s.modality == "infrared" for s in view.samples
    )


def test_validation_people_that_can_not_be_scored_are_refused_before_the_training(small_run, source, tmp_path):
    person = next(sample.identity for sample in source.samples if sample.split == "test")
    view = copy(source)
    view.samples = tuple(
        replace(s, split="val") if s.split == "test" and (s.identity == person) == (s.modality == "visible") else s
        for s in source.samples
    )
    with pytest.raises(
        Exception, match=r"\(validation\): the test images can't be evaluated: no query has a true match"
    ):
        train(small_run(), view, RunFolder(tmp_path / "run"), Silent())
