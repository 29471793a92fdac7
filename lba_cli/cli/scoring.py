"""From the names on ``lba evaluate``'s command line to a report: of checkpoints, of ten trials each, or of features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lba_cli.cli.opening import Opened, open_checkpoint
from lba_cli.cli.options import load_config
from lba_cli.cli.trials import SPLITS, TrialRuns, newest_trials
from lba_cli.config import Run
from lba_cli.data.store import ImageSource, default_store
from lba_cli.errors import ConfigError, LbaError
from lba_cli.evaluation import run as engine
from lba_cli.evaluation.feature_files import read_features
from lba_cli.evaluation.features import PLAIN
from lba_cli.evaluation.report import Origin, Report, Result, over_splits
from lba_cli.evaluation.seen import inflation_note, require_own_split
from lba_cli.evaluation.variants import variants
from lba_cli.reporting import Listener
from lba_cli.training.folder import RunFolder
from lba_cli.vocabulary import Dataset


@dataclass(frozen=True)
class Request:
    """What the command line says besides the names: the data, the settings, and what is allowed and kept."""

    data: Path | None
    config: Path | None
    assignments: list[str] | None
    options: dict[str, Any]
    allow_other_split: bool = False
    save_features: Path | None = None


@dataclass(frozen=True)
class Candidate:
    """A model to score: one checkpoint, or those of ten splits; and each one's images."""

    name: str
    checkpoints: list[Opened]
    sources: list[ImageSource]


@dataclass
class _Sources:
    """The data sets that are open: one that several models share is opened once."""

    request: Request
    open: dict[tuple[object, ...], ImageSource] = field(default_factory=dict)

    def of(self, opened: Opened) -> ImageSource:
        data = opened.run.data
        key = (data.root, data.dataset, data.height, data.width, data.trial)
        source = self.open.get(key) or opened.images()
        self.open[key] = source
        if not self.request.allow_other_split:
            require_own_split(opened.description, source)
        return source


def score_models(names: Sequence[Path | None], request: Request, listener: Listener, *, all_trials: bool) -> Report:
    """Score every model of ``names`` (None: the newest run) in the same settings; all are opened before any is scored.

    Raises:
        LbaError: models can't be opened, or would be scored on different images.
    """
    sources = _Sources(request)
    open_one = _open_trials if all_trials else _open_single
    candidates = [open_one(name, request, sources, listener) for name in names]
    _require_same_images(candidates)
    if request.save_features and (len(candidates) > 1 or all_trials):
        raise LbaError("--save-features keeps the features of one model: name one, without --trials")
    if len(candidates) > 1:
        _require_same_measures(candidates)
    return Report(tuple(_score(candidate, request, listener) for candidate in candidates))


def score_features(path: Path, protocol_of: Dataset | None, request: Request, listener: Listener) -> Report:
    """Score a file of features that any program has made.

    Raises:
        LbaError: the file is malformed, or images would be needed.
    """
    section = load_config(request.config, request.assignments, request.options, listener).evaluation
    source = read_features(path, protocol_of)
    ways = variants(section)
    if any(way.view != PLAIN for way in ways):
        raise ConfigError("--flip and --features-from neck need a network; --features has features alone")
    drawn = [engine.draw_trials(source, setting) for setting in engine.settings(section, source)]
    origin = Origin(str(path), source.trained_on)
    results = engine.score(source, drawn, {PLAIN: source.embeddings}, ways, listener=listener, origin=origin)
    return Report((tuple(results),))


def _open_single(name: Path | None, request: Request, sources: _Sources, listener: Listener) -> Candidate:
    opened = open_checkpoint(name, request.data, request.config, request.assignments, request.options, listener)
    return Candidate(str(opened.path), [opened], [sources.of(opened)])


def _open_trials(name: Path | None, request: Request, sources: _Sources, listener: Listener) -> Candidate:
    """The models of ten splits, each on its own; or one model of another data set, on all ten."""
    if name is None:
        runs = newest_trials()
        listener.say(f"trials: {runs.path}, the newest")
    else:
        runs = TrialRuns(name)
    if runs.path.is_file() or RunFolder(runs.path).last.is_file():
        one = _open(runs.path, SPLITS[0], request, listener)
        checkpoints = [replace(one, run=_of_split(one.run, split)) for split in SPLITS]
    else:
        checkpoints = [_open(run.path, split, request, listener) for split, run in runs.require_all().items()]
    images = [sources.of(opened) for opened in checkpoints]
    for opened, source, split in zip(checkpoints, images, SPLITS, strict=True):
        if source.split != split:
            raise ConfigError(
                f"{opened.path}: would be scored on split {source.split}: --trials all sets data.trial for each of a data "
                "set's several splits; leave --set data.trial out"
            )
    return Candidate(str(runs.path), checkpoints, images)


def _open(path: Path, split: int, request: Request, listener: Listener) -> Opened:
    options = {**request.options, "data.trial": split}
    return open_checkpoint(path, request.data, request.config, request.assignments, options, listener)


def _of_split(run: Run, split: int) -> Run:
    return run.model_copy(update={"data": run.data.model_copy(update={"trial": split})})


def _score(candidate: Candidate, request: Request, listener: Listener) -> tuple[Result, ...]:
    each = [
        _score_checkpoint(candidate.name, opened, source, request, listener)
        for opened, source in zip(candidate.checkpoints, candidate.sources, strict=True)
    ]
    opened = zip((each.description for each in candidate.checkpoints), candidate.sources, strict=True)
    note = inflation_note(opened)
    root = candidate.checkpoints[0].run.data.root if candidate.sources[0].dataset == "folder" else ""
    return tuple(replace(r, note=". ".join(n for n in (r.note, note) if n), root=root) for r in over_splits(each))


def _score_checkpoint(
    name: str, opened: Opened, source: ImageSource, request: Request, listener: Listener
) -> list[Result]:
    section = opened.run.evaluation
    return engine.evaluate(
        opened.network,
        source,
        engine.settings(section, source),
        listener=listener,
        ways=variants(section),
        origin=Origin(name, trained_on(opened, source), opened.description.epoch),
        batch_size=section.batch_size,
        workers=opened.run.data.workers,
        save_features=request.save_features,
    )


def trained_on(opened: Opened, source: ImageSource) -> str:
    """The name of the data set; with its layout, split or folder, where another one of the same name is scored."""
    trained = opened.description
    layout = trained.config.get("data", {}).get("dataset", source.dataset)
    if trained.dataset == source.name and layout not in ("auto", source.dataset):
        return f"{trained.dataset} ({layout})"
    if trained.dataset == source.name and trained.split not in (0, source.split):
        return f"{trained.dataset} (split {trained.split})"
    root = trained.config.get("data", {}).get("root", opened.run.data.root)
    if trained.dataset == source.name and source.dataset == "folder" and not same_place(root, opened.run):
        return f"{trained.dataset} at {root}"
    return trained.dataset


def same_place(root: str, run: Run) -> bool:
    """Whether ``root`` is what ``run`` reads, be it as a folder or as the store beside it."""
    places = [
        {path.resolve(), default_store(path, run.data.height, run.data.width).resolve()}
        for path in (Path(root), Path(run.data.root))
    ]
    return not places[0].isdisjoint(places[1])


def _require_same_images(candidates: Sequence[Candidate]) -> None:
    first = candidates[0]
    for other in candidates[1:]:
        for mine, theirs in zip(first.sources, other.sources, strict=True):
            if (mine.fingerprint, mine.split) != (theirs.fingerprint, theirs.split):
                raise LbaError(
                    f"{other.name} would be scored on other images than {first.name}: {_difference(mine, theirs)}. Name one "
                    "data set for all with --data, and --set data.… where it has several splits"
                )


def _difference(mine: ImageSource, theirs: ImageSource) -> str:
    """What tells the images of one model from those of another."""
    sides = (theirs, mine)
    tested = [[sample for sample in source.samples if sample.part == "test"] for source in sides]
    people = [{sample.identity for sample in samples} for samples in tested]
    facts = [
        [f"{source.name} ({source.dataset})" for source in sides],
        [f"split {source.split}" for source in sides],
        [f"{len(each)} test identities" for each in people],
        [f"{len(samples)} test images" for samples in tested],
    ]
    for other, first in facts:
        if other != first:
            return f"{other} instead of {first}"
    if people[0] != people[1]:
        return f"other test identities, {len(people[0] - people[1])} of {len(people[0])}"
    return "the same test identities in other files, or beside other training images"


def _require_same_measures(candidates: Sequence[Candidate]) -> None:
    """Refuse to set figures side by side that were measured differently, as the models' own settings may ask for."""
    first = candidates[0]
    wanted = _measures(first)
    for other in candidates[1:]:
        if _measures(other) != wanted:
            raise ConfigError(
                f"{other.name} and {first.name} come with different settings of what is measured: name --mode, --shots, "
                "--protocol and the extras, or leave evaluation.… out of their configurations"
            )


def _measures(candidate: Candidate) -> object:
    section, source = candidate.checkpoints[0].run.evaluation, candidate.sources[0]
    return engine.settings(section, source), variants(section)
