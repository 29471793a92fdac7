"""The work of ``lba evaluate``: score checkpoints, the checkpoints of ten trials each, or a file of features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lba_cli.cli.checkpoints import OpenedCheckpoint, open_checkpoint
from lba_cli.cli.options import CommonOptions
from lba_cli.cli.trials import TRIALS, TrialRuns, newest_trials
from lba_cli.config import Config
from lba_cli.data.store import ImageSource, default_store
from lba_cli.datasets import get_dataset
from lba_cli.errors import ConfigError, LbaError
from lba_cli.evaluation.evaluate import EvaluationOptions, evaluate
from lba_cli.evaluation.feature_files import read_features
from lba_cli.evaluation.leakage import inflation_note, require_own_trial
from lba_cli.evaluation.network_embedder import PLAIN
from lba_cli.evaluation.results import EvaluationResults, Result, ScoredModel, over_trials
from lba_cli.evaluation.scoring import draw_setting, score
from lba_cli.evaluation.setting_choice import choose_settings
from lba_cli.evaluation.variants import choose_variants
from lba_cli.reporting import Listener
from lba_cli.training.run_folder import RunFolder


@dataclass(frozen=True)
class EvaluateRequest:
    """The command line, except for the models' names.

    Attributes:
        data: the data set, if it is another than the models were trained on.
        common: ``--config`` and ``--set``.
        options: other options, by dotted keys.
        allow_other_trial: whether models may be scored on people whom they were trained on.
        save_features: a file to which embeddings are written as well.
    """

    data: Path | None
    common: CommonOptions
    options: dict[str, Any]
    allow_other_trial: bool = False
    save_features: Path | None = None


@dataclass(frozen=True)
class Candidate:
    """A model to score: one checkpoint, or those of ten trials, and the images of each."""

    name: str
    checkpoints: list[OpenedCheckpoint]
    sources: list[ImageSource]


@dataclass
class _Sources:
    """Opens data sets; one that several models share is opened once."""

    request: EvaluateRequest
    opened: dict[tuple[object, ...], ImageSource] = field(default_factory=dict)

    def of(self, checkpoint: OpenedCheckpoint) -> ImageSource:
        data = checkpoint.config.data
        key = (data.root, data.dataset, data.height, data.width, data.trial)
        if key not in self.opened:
            self.opened[key] = checkpoint.images()
        if not self.request.allow_other_trial:
            require_own_trial(checkpoint.description, self.opened[key])
        return self.opened[key]


def score_models(
    names: Sequence[Path | None], request: EvaluateRequest, listener: Listener, *, all_trials: bool
) -> EvaluationResults:
    """Score every model of ``names`` in the same settings; None is the newest run. All are opened before any is scored.

    Raises:
        LbaError: models can't be opened, or would be scored on different images or in different settings.
    """
    sources = _Sources(request)
    open_candidate = _open_trials if all_trials else _open_single
    candidates = [open_candidate(name, request, sources, listener) for name in names]
    _require_same_images(candidates)
    if request.save_features and (len(candidates) > 1 or all_trials):
        raise LbaError("--save-features keeps the features of one model: name one, without --trials")
    _require_same_settings(candidates)
    return EvaluationResults(tuple(_score(candidate, request, listener) for candidate in candidates))


def score_features(path: Path, dataset: str | None, request: EvaluateRequest, listener: Listener) -> EvaluationResults:
    """Score a file of features, by the protocol of ``dataset``, or of the data set that the file names.

    Raises:
        LbaError: the file is malformed, or the configuration asks for something that needs images.
    """
    section = request.common.load(request.options, listener).evaluation
    source = read_features(path, dataset)
    variants = choose_variants(section)
    if any(variant.view != PLAIN for variant in variants):
        raise ConfigError("--flip and --features-from neck need a network; --features has features alone")
    drawn = [draw_setting(source, setting) for setting in choose_settings(section, source)]
    model = ScoredModel(str(path), source.trained_on)
    return EvaluationResults(
        (tuple(score(source, drawn, {PLAIN: source.embeddings}, variants, listener=listener, model=model)),)
    )


def trained_on(opened: OpenedCheckpoint, source: ImageSource) -> str:
    """The name of the data set that a model was trained on.

    If ``source`` has the same name and is another data set, the layout, the trial or the folder is added.
    """
    trained = opened.description
    data = trained.config.get("data", {})
    if trained.dataset != source.name:
        return trained.dataset
    layout = data.get("dataset", source.dataset)
    if layout not in ("auto", source.dataset):
        return f"{trained.dataset} ({layout})"
    if trained.trial not in (0, source.trial):
        return f"{trained.dataset} (trial {trained.trial})"
    root = data.get("root", opened.config.data.root)
    if get_dataset(source.dataset).split_is_drawn and not same_place(root, opened.config):
        return f"{trained.dataset} at {root}"
    return trained.dataset


def same_place(root: str, config: Config) -> bool:
    """Whether ``root`` is the data that ``config`` reads, as a folder or as the store beside it."""
    places = [
        {path.resolve(), default_store(path, config.data.height, config.data.width).resolve()}
        for path in (Path(root), Path(config.data.root))
    ]
    return not places[0].isdisjoint(places[1])


def _open_single(name: Path | None, request: EvaluateRequest, sources: _Sources, listener: Listener) -> Candidate:
    opened = open_checkpoint(name, request.data, request.common, request.options, listener)
    return Candidate(str(opened.path), [opened], [sources.of(opened)])


def _open_trials(name: Path | None, request: EvaluateRequest, sources: _Sources, listener: Listener) -> Candidate:
    """Open the models of ten trials, each with its own images; or one model of another data set, for all ten."""
    runs = TrialRuns(name) if name else newest_trials()
    if name is None:
        listener.say(f"trials: {runs.path}, the newest")
    if runs.path.is_file() or RunFolder(runs.path).last.is_file():
        one = _open_trial(runs.path, TRIALS[0], request, listener)
        checkpoints = [replace(one, config=_with_trial(one.config, trial)) for trial in TRIALS]
    else:
        checkpoints = [_open_trial(run.path, trial, request, listener) for trial, run in runs.require_all().items()]
    images = [sources.of(opened) for opened in checkpoints]
    for opened, source, trial in zip(checkpoints, images, TRIALS, strict=True):
        if source.trial != trial:
            raise ConfigError(
                f"{opened.path}: would be scored on trial {source.trial}: --trials all sets data.trial for each model; leave "
                "out --set data.trial"
            )
    return Candidate(str(runs.path), checkpoints, images)


def _open_trial(path: Path, trial: int, request: EvaluateRequest, listener: Listener) -> OpenedCheckpoint:
    options = {**request.options, "data.trial": trial}
    return open_checkpoint(path, request.data, request.common, options, listener)


def _with_trial(config: Config, trial: int) -> Config:
    return config.model_copy(update={"data": config.data.model_copy(update={"trial": trial})})


def _score(candidate: Candidate, request: EvaluateRequest, listener: Listener) -> tuple[Result, ...]:
    pairs = list(zip(candidate.checkpoints, candidate.sources, strict=True))
    results = over_trials([_score_checkpoint(candidate.name, *pair, request, listener) for pair in pairs])
    note = inflation_note((opened.description, source) for opened, source in pairs)
    drawn = get_dataset(candidate.sources[0].dataset).split_is_drawn
    root = candidate.checkpoints[0].config.data.root if drawn else ""
    return tuple(replace(r, note=". ".join(n for n in (r.note, note) if n), root=root) for r in results)


def _score_checkpoint(
    name: str, opened: OpenedCheckpoint, source: ImageSource, request: EvaluateRequest, listener: Listener
) -> list[Result]:
    section = opened.config.evaluation
    options = EvaluationOptions(
        variants=choose_variants(section),
        model=ScoredModel(name, trained_on(opened, source), opened.description.epoch),
        batch_size=section.batch_size,
        workers=opened.config.data.workers,
        save_features=request.save_features,
    )
    settings = choose_settings(section, source)
    return evaluate(opened.network, source, settings, listener=listener, options=options)


def _require_same_images(candidates: Sequence[Candidate]) -> None:
    first = candidates[0]
    for other in candidates[1:]:
        for reference, source in zip(first.sources, other.sources, strict=True):
            if (reference.fingerprint, reference.trial) != (source.fingerprint, source.trial):
                raise LbaError(
                    f"{other.name} would be scored on other images than {first.name}: {_difference(reference, source)}. "
                    "Name one data set for all with --data, and --set data.… where it has several splits or trials"
                )


def _difference(reference: ImageSource, source: ImageSource) -> str:
    """How two data sets differ, in words."""
    sides = (source, reference)
    tested = [[sample for sample in each.samples if sample.split == "test"] for each in sides]
    people = [{sample.identity for sample in samples} for samples in tested]
    facts = [
        [f"{each.name} ({each.dataset})" for each in sides],
        [f"trial {each.trial}" for each in sides],
        [f"{len(each)} test identities" for each in people],
        [f"{len(samples)} test images" for samples in tested],
    ]
    for other, first in facts:
        if other != first:
            return f"{other} instead of {first}"
    if people[0] != people[1]:
        return f"other test identities, {len(people[0] - people[1])} of {len(people[0])}"
    return "the same test identities in other files, or with other training images"


def _require_same_settings(candidates: Sequence[Candidate]) -> None:
    """Refuse to compare figures of different settings, which the models' own configurations may ask for."""
    first = candidates[0]
    for other in candidates[1:]:
        if _settings(other) != _settings(first):
            raise ConfigError(
                f"{other.name} and {first.name} are configured for different settings: name --mode, --shots, --protocol and "
                "the extras, or leave evaluation.… out of their configurations"
            )


def _settings(candidate: Candidate) -> object:
    section, source = candidate.checkpoints[0].config.evaluation, candidate.sources[0]
    return choose_settings(section, source), choose_variants(section)
