"""The work of ``lba evaluate``: score single checkpoints, the checkpoints of all trials, or a feature file."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lba_cli.cli.candidates import Candidate, require_comparable
from lba_cli.cli.checkpoints import OpenedCheckpoint, open_checkpoint
from lba_cli.cli.measure_correspondences import measure_correspondences
from lba_cli.cli.options import CommonOptions
from lba_cli.cli.run_series import newest_series, seed_series, trial_series
from lba_cli.compute import embedding_precision
from lba_cli.config import Config
from lba_cli.data.store import ImageSource, default_store
from lba_cli.datasets import get_dataset
from lba_cli.errors import ConfigError, LbaError
from lba_cli.evaluation.evaluate import EvaluationOptions, evaluate
from lba_cli.evaluation.feature_files import read_features
from lba_cli.evaluation.joined_results import over_seeds, over_trials
from lba_cli.evaluation.leakage import figures_note, find_overlap, selected_on, selection_note
from lba_cli.evaluation.network_embedder import PLAIN
from lba_cli.evaluation.result import Result, ScoredModel
from lba_cli.evaluation.results import EvaluationResults
from lba_cli.evaluation.scoring import draw_setting, score
from lba_cli.evaluation.setting_choice import choose_settings
from lba_cli.evaluation.variants import Variant, choose_variants
from lba_cli.model.checkpoint import fingerprint
from lba_cli.model.fingerprints import model_fingerprint
from lba_cli.reporting import Listener
from lba_cli.training.run_folder import TRIAL, RunFolder
from lba_cli.vocabulary import EmbeddingPrecision

BFLOAT16 = "embeddings are computed in bfloat16, and published figures in float32"
LARGEST_NORM_RATIO = 1.01  # of a file's features; with a larger ratio, normalising them may change the ranking


@dataclass(frozen=True)
class EvaluateRequest:
    """The options of ``lba evaluate``, except for the models.

    Attributes:
        data: the folder or store of the data set; None for the data set that each model was trained on.
        common: the options that every command has.
        options: the values of the command's other options, by config key.
        allow_other_trial: whether models may be scored on identities that they were trained on.
        save_features: the file that the features of the test images are saved to; None to save nothing.
        best: whether runs are scored at the epoch with the best mAP instead of the last one.
        correspondences: whether the correspondences between positions of images are measured as well.
        verification: whether it is measured as well how well pairs of images are verified.
    """

    data: Path | None
    common: CommonOptions
    options: dict[str, Any]
    allow_other_trial: bool = False
    save_features: Path | None = None
    best: bool = False
    correspondences: bool = False
    verification: bool = False


# The data sets that are already open, by their configurations, so that several models share a data set.
_Sources = dict[tuple[object, ...], ImageSource]


def score_models(names: Sequence[Path | None], request: EvaluateRequest, *, all_trials: bool) -> EvaluationResults:
    """Score several models in the same settings. All models are opened before the first one is scored.

    Args:
        names: checkpoints, run folders or folders of seeds; None stands for the newest run.
        request: the command's options.
        all_trials: whether each name stands for one model per trial.
    """
    sources: _Sources = {}
    open_candidate = _open_trials if all_trials else _open_run_or_seeds
    candidates = [open_candidate(name, request, sources) for name in names]
    if request.save_features and sum(len(candidate.parts) for candidate in candidates) > 1:
        raise LbaError("--save-features saves the features of a single model: name only one, without --trials")
    require_comparable(candidates)
    measured = measure_correspondences(candidates, request.common.listener) if request.correspondences else ()
    opened = [checkpoint for candidate in candidates for checkpoint, _ in candidate.parts]
    variants = choose_variants(opened[0].config.evaluation, {each.network.retrieval for each in opened})
    scored = tuple(_score(candidate, request, variants) for candidate in candidates)
    return EvaluationResults(scored, correspondences=measured)


def score_features(
    path: Path, dataset: str | None, request: EvaluateRequest, *, normalize: bool = True
) -> EvaluationResults:
    """Score the features in the file ``path`` with the protocol of ``dataset``. Default: the data set named in the file.

    Scores are dot products of the features. If ``normalize`` is true, the features are scaled to unit length first.
    ``request`` holds the command's options.
    """
    section = request.common.load(request.options).evaluation
    source = read_features(path, dataset, normalize=normalize)
    least, largest = source.norms
    if largest > LARGEST_NORM_RATIO * least:
        rows = f"{path}: the norms of the features lie between {least:.4g} and {largest:.4g}"
        how = (
            "they are scaled to unit length, so scores are cosine similarities; with --no-normalize, scores are dot products of "
            "the unscaled features"
            if normalize
            else "they are not scaled, so features with large norms have large scores"
        )
        request.common.listener.warn(f"{rows}: {how}")
    variants = choose_variants(section, ())
    if not normalize and any(variant.reranking for variant in variants):
        raise ConfigError(
            "--no-normalize: re-ranking needs features of unit length: leave out --no-normalize, or --rerank (evaluation.rerank)"
        )
    if any(variant.view != PLAIN for variant in variants):
        raise ConfigError(
            "--flip (evaluation.flip) and --features-from (evaluation.features_from) need a network, but --features names a "
            "file of features"
        )
    for note in get_dataset(source.dataset).sample_notes(source.samples):
        request.common.listener.warn(note)
    drawn = [draw_setting(source, setting) for setting in choose_settings(section, source)]
    model = ScoredModel(str(path), source.trained_on)
    results = score(
        source,
        drawn,
        {PLAIN: source.embeddings},
        variants,
        listener=request.common.listener,
        model=model,
        verify=request.verification,
    )
    return EvaluationResults((_noted(results, source.note),))


def scored_model(name: str, opened: OpenedCheckpoint, source: ImageSource) -> ScoredModel:
    """Return the facts about a model that its results on ``source`` show, such as its training data and epoch."""
    description = opened.description
    return ScoredModel(name, trained_on(opened, source), description.epoch, selected_on(description, source))


def trained_on(opened: OpenedCheckpoint, source: ImageSource) -> str:
    """Return the name of the data set that a model was trained on.

    If ``source`` is a different data set with the same name, the layout, the trial or the folder is added.
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
    """Return whether ``root`` and the root of ``config`` hold the same data: the same folder, or a folder and its store."""
    places = [
        {path.resolve(), default_store(path, config.data.height, config.data.width).resolve()}
        for path in (Path(root), Path(config.data.root))
    ]
    return not places[0].isdisjoint(places[1])


def _open_run_or_seeds(name: Path | None, request: EvaluateRequest, sources: _Sources) -> Candidate:
    if name and not RunFolder(name).last.is_file() and (series := seed_series(name)).values:
        opened_runs = [_open_run(run.path, request) for run in series.complete_runs().values()]
        parts = [(opened, _source(opened, request, sources)) for opened in opened_runs]
        return Candidate(str(name), parts, series.values)
    opened = _open_run(name, request)
    return Candidate(str(opened.path), [(opened, _source(opened, request, sources))])


def _open_trials(name: Path | None, request: EvaluateRequest, sources: _Sources) -> Candidate:
    """Open the model of each trial in the folder ``name``, or one checkpoint for all trials, with the images of each trial."""
    series = trial_series(name or newest_series(TRIAL, "--trials all"))
    path = series.folder
    if name is None:
        request.common.listener.say(f"trials: {path}, the newest")
    if path.is_file() or RunFolder(path).last.is_file():
        one = _open_run(path, request, series.values[0])
        checkpoints = [replace(one, config=series.with_value(one.config, trial)) for trial in series.values]
    else:
        checkpoints = [_open_run(run.path, request, trial) for trial, run in series.complete_runs().items()]
    parts = [(opened, _source(opened, request, sources)) for opened in checkpoints]
    for (opened, source), trial in zip(parts, series.values, strict=True):
        if source.trial != trial:
            raise ConfigError(
                f"{opened.path}: --trials all scores this model on trial {trial}, but the configuration selects trial "
                f"{source.trial}: leave out --set data.trial"
            )
    return Candidate(str(path), parts)


def _source(opened: OpenedCheckpoint, request: EvaluateRequest, sources: _Sources) -> ImageSource:
    data = opened.config.data
    key = (data.root, data.dataset, data.height, data.width, data.value_range, data.trial)
    if key not in sources:
        sources[key] = opened.images()
    if not request.allow_other_trial:
        find_overlap(opened.description.records(), sources[key], request.common.listener).refuse()
    return sources[key]


def _open_run(path: Path | None, request: EvaluateRequest, trial: int | None = None) -> OpenedCheckpoint:
    options = request.options if trial is None else {**request.options, "data.trial": trial}
    return open_checkpoint(path, request.data, request.common, options, best=request.best)


def _score(candidate: Candidate, request: EvaluateRequest, variants: Sequence[Variant]) -> tuple[Result, ...]:
    listener = request.common.listener
    note = figures_note([find_overlap(o.description.records(), source, listener) for o, source in candidate.parts])
    options = EvaluationOptions(
        variants=variants, save_features=request.save_features, note=note, verify=request.verification
    )
    scored = [_score_checkpoint(candidate.name, *part, options, listener) for part in candidate.parts]
    results = over_seeds(scored, candidate.seeds) if candidate.seeds else over_trials(scored)
    opened, source = candidate.parts[0]
    arithmetic = BFLOAT16 if _arithmetic(opened) == "bfloat16" else ""
    return complete(results, opened, source, note, arithmetic)


def complete(
    results: Sequence[Result], opened: OpenedCheckpoint, source: ImageSource, *notes: str
) -> tuple[Result, ...]:
    """Return a model's results with what their readers have to know.

    Args:
        results, opened, source: the results, the model, and the data set that it was scored on.
        notes: further notes; empty ones are left out.
    """
    root = opened.config.data.root if get_dataset(source.dataset).split_is_drawn else ""
    shown = ". ".join(filter(None, (*notes, selection_note(results[0].model))))
    return tuple(replace(result, root=root) for result in _noted(results, shown))


def _arithmetic(opened: OpenedCheckpoint) -> EmbeddingPrecision:
    """Return the arithmetic that embeds the images."""
    return embedding_precision(opened.config.evaluation.precision, next(opened.network.parameters()).device)


def _noted(results: Iterable[Result], note: str) -> tuple[Result, ...]:
    """Return the results with ``note`` added to their notes."""
    return tuple(replace(result, note=". ".join(filter(None, (result.note, note)))) for result in results)


def _score_checkpoint(
    name: str, opened: OpenedCheckpoint, source: ImageSource, options: EvaluationOptions, listener: Listener
) -> list[Result]:
    section, model = opened.config.evaluation, scored_model(name, opened, source)
    if options.verify:
        name_of_weights = fingerprint(opened.network.state_dict())
        model = replace(model, fingerprint=model_fingerprint(name_of_weights, _arithmetic(opened)))
    options = replace(
        options,
        model=model,
        precision=_arithmetic(opened),
        batch_size=section.batch_size,
        workers=opened.config.data.workers,
    )
    return evaluate(opened.network, source, choose_settings(section, source), listener=listener, options=options)
