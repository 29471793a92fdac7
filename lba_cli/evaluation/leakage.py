"""Check whether a model is scored on people that it, or an earlier model that it was started from, was trained on.

People whose split the user draws are compared by their names and by the bytes of their images, not by their numbers:

=========  ==============  =====================================================================
name       image files     figures
=========  ==============  =====================================================================
equal      some are equal  are refused
different  some are equal  have a note, which counts the people and the images
equal      none are equal  have a note, because nobody can say whether they are the same people
=========  ==============  =====================================================================

Trials of a data set are compared by their numbers.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from lba_cli import processes
from lba_cli.data.store import ImageSource
from lba_cli.datasets import get_dataset
from lba_cli.datasets.lists import shortened
from lba_cli.errors import DataError
from lba_cli.evaluation.result import ScoredModel
from lba_cli.evaluation.results import trial_words
from lba_cli.model.checkpoint import Description
from lba_cli.model.training_record import TrainingRecord, name_digest, pack, unpack
from lba_cli.reporting import Listener
from lba_cli.vocabulary import Split

OWN, EARLIER = "the model", "the model that it was started from"


@dataclass(frozen=True)
class Overlap:
    """The overlap between the test people of a data set and the people that a model was trained on.

    Attributes:
        reason: why the figures would be inflated; empty if there is no proof of that.
        remedy: what to score the model on instead.
        label: the reason as a note beside figures, without the trial.
        doubts: further remarks for readers of the figures.
        trial: the trial of the data set; 0 if it has only one.
    """

    reason: str = ""
    remedy: str = ""
    label: str = ""
    doubts: tuple[str, ...] = ()
    trial: int = 0

    def refuse(self) -> None:
        """Raise a DataError if the figures would be inflated."""
        if self.reason:
            raise DataError(
                f"{self.reason}, which would inflate the figures. {self.remedy}, or allow it with --allow-other-trial (in "
                "lba evaluate and lba visualize report)"
            )


def training_people(source: ImageSource, left_out: Iterable[int], listener: Listener) -> dict[str, str]:
    """Return the training people of ``source`` in the form of :class:`TrainingRecord`, for a checkpoint.

    For a data set whose split is fixed, no files are read. ``left_out`` are identities that aren't trained on.
    """
    if not get_dataset(source.dataset).split_is_drawn:
        return {}
    images = _images_by_person(source, "train", listener, set(left_out))
    return pack({name_digest(person): digests for person, digests in images.items()})


def find_overlap(records: Sequence[TrainingRecord], source: ImageSource, listener: Listener) -> Overlap:
    """Compare the test people of ``source`` with the people that a model was trained on.

    In a job of several processes, all processes must call this.

    Args:
        records: the model's own record, followed by the records of the models that it was started from.
        source: the data set that the model is scored on.
        listener: receives the progress, if files are read.
    """
    found = _compare_trials(records, source)
    if not found.reason and any(record.people for record in records):
        tested = processes.run_on_writer(lambda: _images_by_person(source, "test", listener))
        found = _compare_people(records, source, tested)
    return replace(found, doubts=(*found.doubts, *_unknown(records, source)), trial=source.trial)


def figures_note(overlaps: Sequence[Overlap]) -> str:
    """Return a note on the figures of models with these overlaps; empty if the figures need no note."""
    trials: dict[str, list[int]] = {}
    for overlap in overlaps:
        if overlap.reason:
            trials.setdefault(overlap.label, []).append(overlap.trial)
    notes = []
    for label, numbers in trials.items():
        words = trial_words([number for number in numbers if number])
        notes.append(f"{label}{words and f' ({words})'}: figures are inflated")
    notes += (doubt for overlap in overlaps for doubt in overlap.doubts)
    return ". ".join(dict.fromkeys(notes))


def _images_by_person(
    source: ImageSource, split: Split, listener: Listener, left_out: Iterable[int] = ()
) -> dict[str, set[str]]:
    """Return the digests of each person's image files in one split, by the person's name."""
    indices = [i for i, each in enumerate(source.samples) if each.split == split and each.identity not in left_out]
    images: dict[str, set[str]] = {}
    for index, digest in zip(indices, source.file_digests(indices, listener), strict=True):
        images.setdefault(source.samples[index].person, set()).add(digest)
    return images


def _compare_trials(records: Sequence[TrainingRecord], source: ImageSource) -> Overlap:
    trained = [record.trial for record in records if record.dataset == source.name and record.trial]
    others = [trial for trial in trained if trial != source.trial]
    if not source.trial or not others:
        return Overlap()
    is_own = records[0].dataset == source.name and records[0].trial == others[0]
    who, whose = ("the model was", OWN) if is_own else ("the model was started from one that was", EARLIER)
    reason = (
        f"{who} trained on trial {others[0]} of {source.name}, this is trial {source.trial}: some of its test people are "
        f"among those that {whose} was trained on"
    )
    remedy = f"Score it on its own trial (--set data.trial={others[0]})"
    if len(set(trained)) > 1:
        remedy = "It was trained on several trials: train a model from other weights (model.pretrained)"
    return Overlap(reason, remedy, f"scored on people that {whose} was trained on")


def _compare_people(records: Sequence[TrainingRecord], source: ImageSource, tested: Mapping[str, set[str]]) -> Overlap:
    spec = get_dataset(source.dataset)
    reason, label = "", ""
    doubts: list[str] = []
    decided: set[str] = set()
    namesakes: set[str] = set()
    for who, group in ((OWN, records[:1]), (EARLIER, records[1:])):
        trained = unpack(group)
        everything: set[str] = set().union(*trained.values())
        named = {person for person in tested if spec.split_is_drawn and name_digest(person) in trained}
        same = {person for person in named if trained[name_digest(person)] & tested[person]} - decided
        renamed = {person for person in tested if everything & tested[person]} - same - decided
        if same and not reason:
            verb = "are" if len(same) > 1 else "is"
            people = f"{len(same)} of the {len(tested)} test people {verb} among those that {who} was trained on"
            reason = f"{source.name}: {people} ({_names(same)})"
            label = f"scored on people that {who} was trained on ({_names(same)})"
        if renamed:
            count = len(everything & set().union(*(tested[person] for person in renamed)))
            doubts.append(
                f"{who} was trained on {count} image{'s' * (count > 1)} of {len(renamed)} of the {len(tested)} test people "
                f"({_names(renamed)}), under other names: figures are inflated"
            )
        decided |= same | renamed
        namesakes |= named
    if others := namesakes - decided:
        doubts.append(
            f"{len(others)} of the {len(tested)} test people {'have' if len(others) > 1 else 'has'} the name of a training person "
            f"({_names(others)}), but different images: if the people are the same, figures are inflated"
        )
    remedy = f"Choose test people that it was not trained on{spec.keys and f' ({spec.keys})'}"
    return Overlap(reason, remedy, label, tuple(doubts))


def _unknown(records: Sequence[TrainingRecord], source: ImageSource) -> tuple[str, ...]:
    """Return a note for each model whose training people are unknown. A fixed split needs none."""
    notes = []
    for who, group in ((OWN, records[:1]), (EARLIER, records[1:])):
        for record in group:
            is_fixed = record.dataset == source.name and not get_dataset(source.dataset).split_is_drawn
            if record.people is None and not is_fixed:
                assumed = f" ({record.dataset} is assumed)" if record.dataset else ""
                notes.append(
                    f"the file of {who} does not say whom it was trained on{assumed}, so it is unknown whether the "
                    "training people include these test people"
                )
    return tuple(notes)


def _names(people: Iterable[str]) -> str:
    return shortened(sorted(people))


def selected_on(description: Description, source: ImageSource) -> str:
    """Return the people of ``source`` whose mAP selected the model's epoch, such as ``test``; empty if none did."""
    return description.selected_on if description.dataset == source.name else ""


def selection_note(model: ScoredModel) -> str:
    """Return a note if the model's epoch was selected on the people that it is scored on, otherwise an empty text."""
    if model.selected_on != "test":
        return ""
    return f"{model.name}: this epoch was chosen by its mAP on these test people, which flatters its figures"
