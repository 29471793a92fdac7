"""Models that would be scored on people that they, or the models they were started from, were trained on."""

from types import SimpleNamespace

import pytest
from datasets.fifth_dataset import HARBOUR
from fake_dataset import MadeImages, tree
from small_setup import refused

from lba_cli.data.samples import Sample
from lba_cli.data.store import FolderImages
from lba_cli.datasets import DATASETS
from lba_cli.datasets.folder import FolderOptions, read_folder
from lba_cli.evaluation.leakage import figures_note, find_overlap, training_people
from lba_cli.model.training_record import TrainingRecord
from lba_cli.reporting import Silent

SIX = {name: name for name in "abcdef"}  # trained on b, c and e, tested with a, d and f
UNKNOWN = TrainingRecord("SYSU-MM01")


@pytest.fixture
def photos(tmp_path):
    """Write people as ``{name: what their images show}``, and open them: ``photos("shots", {"a": "a"}, test_share=1)``."""

    def make(place, people, **options):
        for name, shown in people.items():
            for modality in ("visible", "infrared"):
                folder = tmp_path / place / modality / name
                folder.mkdir(parents=True, exist_ok=True)
                for number in range(2):
                    (folder / f"{number}.png").write_text(f"{shown} {modality} {number}")
        return FolderImages(read_folder(tmp_path / place, FolderOptions(**options)), 32, 16)

    return make


def record_of(source):
    return TrainingRecord(source.name, source.trial, training_people(source, (), Silent()))


def overlap(source, *records):
    return find_overlap(records, source, Silent())


def note(source, *records):
    return figures_note([overlap(source, *records)])


def refusal(source, *records):
    return refused(overlap(source, *records).refuse, "--allow-other-trial")


def test_a_model_may_be_scored_on_the_other_people_of_its_own_folder(photos):
    source = photos("shots", SIX)
    overlap(source, record_of(source)).refuse()
    assert not note(source, record_of(source))


def test_a_person_who_is_added_shifts_the_split(photos):
    trained = record_of(photos("shots", SIX))
    grown = photos("shots", {"0": "new"})
    message = refusal(grown, trained)
    assert message.startswith("shots: 2 of the 4 test people are among those that the model was trained on (c, e)")
    assert "data.test_ids" in message
    assert "on people that the model was trained on (c, e): figures are inflated" in note(grown, trained)


@pytest.mark.parametrize("place", ["copy of shots", "elsewhere/shots"])
def test_a_copy_under_another_name_or_at_another_place_has_the_same_people(photos, place):
    trained = record_of(photos("shots", SIX))
    assert "(b, c, e)" in refusal(photos(place, SIX, test_share=1), trained)


def test_other_people_of_the_same_names_are_not_refused(photos):
    numbers = [f"{number:04d}" for number in range(1, 7)]
    trained = record_of(photos("A/data", dict.fromkeys(numbers, "A")))
    other = photos("B/data", {number: f"B {number}" for number in numbers}, test_share=1)
    overlap(other, trained).refuse()
    assert note(other, trained) == (
        "3 of the 6 test people have the name of a training person (0002, 0003, 0005), but different images: "
        "if the people are the same, figures are inflated"
    )


def test_other_people_of_other_names_are_scored_without_a_note(photos):
    trained = record_of(photos("A/data", SIX))
    assert not note(photos("B/data", {name: name for name in "uvwxyz"}, test_share=1), trained)


def test_a_person_who_was_renamed_is_noted(photos):
    trained = record_of(photos("shots", SIX))
    found = note(photos("renamed", {"zoe": "b", "a": "a"}, test_share=1), trained)
    assert found == (
        "the model was trained on 4 images of 1 of the 2 test people (zoe), under other names: figures are inflated"
    )


def test_images_that_moved_to_another_person_are_noted(photos, tmp_path):
    trained = record_of(photos("shots", SIX))
    (tmp_path / "shots/visible/b/1.png").rename(tmp_path / "shots/visible/a/moved.png")
    source = photos("shots", {})
    overlap(source, trained).refuse()
    assert "trained on 1 image of 1 of the 3 test people (a), under other names" in note(source, trained)


def test_a_shot_that_two_people_of_one_split_share_is_noted(photos, tmp_path):
    photos("shots", SIX)
    (tmp_path / "shots/infrared/f/2.png").write_text("c infrared 0")
    source = photos("shots", {})
    assert "trained on 1 image of 1 of the 3 test people (f)" in note(source, record_of(source))


def test_one_image_in_common_is_enough_under_the_same_name(photos, tmp_path):
    trained = record_of(photos("shots", SIX))
    new = photos("new", {name: f"new {name}" for name in SIX}, test_share=1)
    assert "if the people are the same" in note(new, trained)
    (tmp_path / "new/visible/e/2.png").write_text("e visible 1")
    assert "1 of the 6 test people is among" in refusal(photos("new", {}, test_share=1), trained)


def test_the_models_that_it_was_started_from_count(photos):
    first = record_of(photos("shots", SIX, split_seed=1))
    second = photos("shots", SIX)
    assert "the model that it was started from was trained on (" in refusal(second, record_of(second), first)
    oldest = TrainingRecord("other", 0, {})
    assert overlap(second, record_of(second), oldest, first).reason == overlap(second, record_of(second), first).reason


def test_each_person_is_named_once(photos):
    both = record_of(photos("shots", SIX))
    found = note(photos("renamed", {"zoe": "b", "b": "other"}, test_share=1), both, both)
    assert found.count("zoe") == found.count("(b)") == 1


def test_trials_are_compared_by_number():
    source = MadeImages(tree("regdb"), "regdb", split=5)
    message = refusal(source, TrainingRecord("made-regdb", 2, {}))
    assert "trained on trial 2 of made-regdb, this is trial 5" in message
    assert "Score it on its own trial (--set data.trial=2)" in message
    overlap(source, TrainingRecord("made-regdb", 5, {})).refuse()
    overlap(source, TrainingRecord("another", 2, {})).refuse()
    overlap(MadeImages(tree("sysu"), "sysu"), TrainingRecord("made-sysu", 0, {})).refuse()


def test_a_model_of_a_trial_that_was_started_from_another_trials_has_no_trial_of_its_own():
    source = MadeImages(tree("regdb"), "regdb", split=2)
    message = refusal(source, TrainingRecord("made-regdb", 2, {}), TrainingRecord("made-regdb", 1, {}))
    assert "the model was started from one that was trained on trial 1 of made-regdb, this is trial 2" in message
    assert "It was trained on several trials: train a model from other weights" in message


def test_notes_of_several_trials_name_them():
    sources = [MadeImages(tree("regdb"), "regdb", split=trial) for trial in (1, 2, 3, 4)]
    overlaps = [overlap(source, TrainingRecord("made-regdb", 3, {})) for source in sources]
    expected = "scored on people that the model was trained on (trials 1–2, 4): figures are inflated"
    assert figures_note(overlaps) == expected


def test_a_model_that_does_not_say_whom_it_was_trained_on_is_noted(photos):
    found = note(photos("shots", SIX), UNKNOWN)
    assert "the file of the model does not say whom it was trained on (SYSU-MM01 is assumed)" in found
    known = TrainingRecord("shots", 0, {})
    assert "that it was started from does not say" in note(photos("shots", SIX), known, TrainingRecord())
    assert note(MadeImages(tree("regdb"), "regdb", split=1), UNKNOWN)
    assert not note(MadeImages(tree("sysu"), "sysu", name="SYSU-MM01"), UNKNOWN)


def test_files_are_read_only_where_that_decides_something():
    source = MadeImages(tree("llcm"), "llcm")  # has no files
    assert training_people(source, (), Silent()) == {}
    assert not note(source, TrainingRecord("made-llcm", 0, {}))


def test_a_registered_data_set_is_compared_without_a_line_of_its_own(monkeypatch):
    monkeypatch.setitem(DATASETS, HARBOUR.name, HARBOUR)

    def fold(tested):
        samples = [Sample(f"{n}.png", n, 1, "visible", "test" if n in tested else "train") for n in range(4)]
        digests = [f"{n:016x}" for n in range(4)]
        return SimpleNamespace(
            name="Harbour",
            dataset="harbour",
            trial=0,
            samples=samples,
            file_digests=lambda indices, listener: [digests[i] for i in indices],
        )

    message = refusal(fold({0, 1}), record_of(fold({0, 3})))
    assert "1 of the 2 test people is among those that the model was trained on (1)" in message
    assert "Choose test people that it was not trained on (data.fold)" in message
    overlap(fold({0, 1}), record_of(fold({0, 1}))).refuse()
