"""Evaluate a network by the protocol of the data set: every needed image is embedded once, for all settings and trials."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from lba_cli import processes
from lba_cli.config import EvaluationSection
from lba_cli.data.store import ImageSource
from lba_cli.errors import ConfigError, DataError
from lba_cli.evaluation.distances import BLOCK_ELEMENTS, Block, Distances
from lba_cli.evaluation.feature_files import write_features
from lba_cli.evaluation.features import PLAIN, Embeddings, View, embed_views
from lba_cli.evaluation.protocols import BENCHMARKS, DIRECTIONS, ScoredSet, Setting, Trial, Trials, cameras_known
from lba_cli.evaluation.ranking import Metrics, average_precisions, ignored_pairs, rank_blocks
from lba_cli.evaluation.report import Origin, Result
from lba_cli.evaluation.rerank import Reranking, rerank
from lba_cli.evaluation.variants import Variant
from lba_cli.model import TwoStreamNetwork
from lba_cli.reporting import Listener
from lba_cli.vocabulary import MODALITIES, Mode, Shots

if TYPE_CHECKING:
    from numpy.typing import NDArray

CPU = torch.device("cpu")


def settings(section: EvaluationSection, source: ScoredSet) -> list[Setting]:
    """The settings that a configuration asks for, in the order of the data set's own report.

    Raises:
        ConfigError: the data set has no such protocol, mode or number of shots; the message names those it has.
    """
    benchmark = BENCHMARKS[source.dataset]
    offered = benchmark.modes.get(section.protocol)
    if offered is None:
        raise _unknown(benchmark.name, "protocol", section.protocol, list(benchmark.modes))
    modes: tuple[Mode, ...] = offered
    if section.mode == "auto":
        modes = tuple(mode for mode in benchmark.usual_modes if mode in offered)
    elif section.mode != "all":
        modes = (section.mode,)
    shots: tuple[Shots, ...] = ("single", "multi")
    if section.shots == "auto":
        shots = (benchmark.usual_shots(source.samples),)
    elif section.shots != "both":
        shots = (section.shots,)
    where = benchmark.name if section.protocol == "community" else f"{benchmark.name}'s protocol {section.protocol}"
    for word, kind, there in (*((m, "mode", offered) for m in modes), *((s, "shots", benchmark.shots) for s in shots)):
        if word not in there:
            raise _unknown(where, kind, word, there)
    return [Setting(mode, shot, section.protocol) for mode in modes for shot in shots]


def _unknown(where: str, kind: str, word: str, there: Sequence[str]) -> ConfigError:
    return ConfigError(f"{where} has no {kind} '{word}'; it has {', '.join(there)} (--{kind}, evaluation.{kind})")


def selection(source: ScoredSet) -> Setting:
    """The setting whose mAP chooses a run's best epoch: the data set's most usual one."""
    benchmark = BENCHMARKS[source.dataset]
    return Setting(benchmark.usual_modes[0], benchmark.usual_shots(source.samples), "community")


def selection_words(dataset: str) -> str:
    """:func:`selection` in words, for a data set of which only the layout is known; empty where that isn't enough."""
    benchmark = next((each for name, each in BENCHMARKS.items() if name == dataset), None)
    if benchmark is None:
        return ""
    mode = benchmark.usual_modes[0]
    if dataset == "folder":  # its gallery goes by what the file names tell
        return mode
    return f"{mode}, {Setting(mode, benchmark.usual_shots(()), 'community').gallery_words()}"


def evaluate(
    network: TwoStreamNetwork,
    source: ImageSource,
    wanted: Sequence[Setting],
    *,
    listener: Listener,
    ways: Sequence[Variant] = (Variant(),),
    origin: Origin = Origin(),
    batch_size: int = 128,
    workers: int | None = None,
    save_features: Path | None = None,
) -> list[Result]:
    """Score ``network`` on the test images of ``source`` in every setting of ``wanted``, and in every way of ``ways``.

    With ``save_features`` the plain features of every test image are also written there. Several processes
    (:mod:`lba_cli.processes`) embed a share each; one of them scores, and all return what it found.

    Raises:
        DataError: there are no test images, or the draws don't fit this copy.
    """
    drawn = [draw_trials(source, setting) for setting in wanted]
    needed = set().union(*(trials.samples() for trials in drawn))
    views = dict.fromkeys(way.view for way in ways)
    if save_features:
        needed = {index for index, sample in enumerate(source.samples) if sample.part == "test"}
        views = {PLAIN: None, **views}
    embeddings = embed_views(
        network, source, needed, list(views), listener=listener, batch_size=batch_size, workers=workers
    )
    device = next(network.parameters()).device

    def write_and_score() -> list[Result]:
        if save_features:
            write_features(save_features, source, sorted(needed), embeddings[PLAIN], trained_on=origin.trained_on)
        return score(source, drawn, embeddings, ways, listener=listener, origin=origin, device=device)

    return processes.run_on_writer(write_and_score)


def score(
    source: ScoredSet,
    drawn: Sequence[Trials],
    embeddings: Mapping[View, Embeddings],
    ways: Sequence[Variant] = (Variant(),),
    *,
    listener: Listener,
    origin: Origin = Origin(),
    device: torch.device = CPU,
) -> list[Result]:
    """Rank the trials of every setting, in every way, on ``device``; :func:`evaluate` with embeddings that are there."""
    labels = labels_of(source)
    total = len(ways) * sum(len(trials.each) for trials in drawn)
    every = [trial for trials in drawn for trial in trials.each]
    plain = {way.view: Distances(embeddings[way.view], every, device) for way in ways if not way.reranking}
    results = []
    with listener.task("ranking", total, "trials") as progress:
        for trials in drawn:
            for way in ways:
                metrics = []
                for trial in trials.each:
                    if way.reranking:
                        distances = _reranked(embeddings[way.view], trial, way.reranking)
                    else:
                        distances = plain[way.view].blocks(trial)
                    metrics.append(_rank(source, labels, trial, distances))
                    progress.advance()
                results.append(_result(source, trials, way, tuple(metrics), origin))
    return results


def draw_trials(source: ScoredSet, setting: Setting) -> Trials:
    """Draw the queries and the gallery of every trial of ``setting``.

    Raises:
        DataError: there are no queries, no gallery, or the draws don't fit this copy.
    """
    trials = Trials(setting, BENCHMARKS[source.dataset].draw(source, setting))
    for side, modality in zip(("queries", "gallery"), DIRECTIONS[setting.mode], strict=True):
        if not getattr(trials.each[0], side):
            of = "queries" if side == "queries" else "gallery images"
            raise DataError(f"{source.name}: the test identities have no {modality} {of} for {setting.mode}")
    return trials


def require_scorable(source: ScoredSet) -> None:
    """Refuse, before any work, a data set whose usual setting can't be scored: nobody to query, or nobody to be found.

    Raises:
        DataError: saying which.
    """
    trial = draw_trials(source, selection(source)).each[0]
    labels, step = labels_of(source), max(1, BLOCK_ELEMENTS // len(trial.gallery))
    for start in range(0, len(trial.queries), step):
        columns = _columns(labels, trial.queries[start : start + step], trial.gallery)
        ignored = ignored_pairs(*columns, protocol=BENCHMARKS[source.dataset].rules)
        if ((columns[0][:, None] == columns[1]) & ~ignored).any():
            return
    raise _unscorable(source, "no query has a true match in the gallery")


def _unscorable(source: ScoredSet, problem: object) -> DataError:
    people = [{s.identity for s in source.samples if s.part == "test" and s.modality == m} for m in MODALITIES]
    if people[0].isdisjoint(people[1]):
        cause = "no test identity has images of both modalities"
        if source.dataset == "folder":
            cause += ": test with others (data.test_share, data.test_ids), or with nobody (data.test_share=0)"
    else:
        cause = (
            f"of those that the protocol of {BENCHMARKS[source.dataset].name} doesn't ignore (see README, Protocols)"
        )
    return DataError(f"{source.name}: the test images can't be evaluated: {problem}; {cause}")


class Labels(NamedTuple):
    """(samples,) identities, and cameras where those of all the test images are known."""

    identity: NDArray[np.int64]
    camera: NDArray[np.int64] | None


def labels_of(source: ScoredSet) -> Labels:
    """The labels that ranking goes by."""
    identity, camera = (np.asarray([getattr(s, name) for s in source.samples], np.int64) for name in Labels._fields)
    return Labels(identity, camera if cameras_known(source.samples) else None)


def _rank(source: ScoredSet, labels: Labels, trial: Trial, blocks: Iterable[Block]) -> Metrics:
    """The figures of one trial by the data set's rules.

    Raises:
        DataError: no query has a true match in the gallery.
    """
    try:
        return rank_blocks(
            blocks, *_columns(labels, trial.queries, trial.gallery), protocol=BENCHMARKS[source.dataset].rules
        )
    except ValueError as problem:
        raise _unscorable(source, problem) from problem


def precision_of_queries(source: ScoredSet, trial: Trial, distance: NDArray[np.float32]) -> NDArray[np.float64]:
    """(queries,) average precision of each query of a trial, nan where it has no true match and isn't counted."""
    columns = _columns(labels_of(source), trial.queries, trial.gallery)
    return average_precisions(distance, *columns, protocol=BENCHMARKS[source.dataset].rules)


def excluded(source: ScoredSet, queries: Sequence[int], gallery: Sequence[int]) -> NDArray[np.bool_]:
    """(queries, gallery) bool: which gallery images each query ignores."""
    columns = _columns(labels_of(source), queries, gallery)
    return ignored_pairs(*columns, protocol=BENCHMARKS[source.dataset].rules)


def _columns(
    labels: Labels, queries: Sequence[int], gallery: Sequence[int]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64] | None, NDArray[np.int64] | None]:
    """Identities of both sides, and cameras of both."""
    sides = (np.asarray(queries, np.int64), np.asarray(gallery, np.int64))
    identities = [labels.identity[side] for side in sides]
    cameras = [None if labels.camera is None else labels.camera[side] for side in sides]
    return identities[0], identities[1], cameras[0], cameras[1]


def _reranked(embeddings: Embeddings, trial: Trial, parameters: Reranking) -> Iterator[Block]:
    yield slice(None), rerank(embeddings.of(trial.queries), embeddings.of(trial.gallery), parameters)


def _result(source: ScoredSet, trials: Trials, way: Variant, metrics: tuple[Metrics, ...], origin: Origin) -> Result:
    first = trials.each[0]
    queried, searched = ({source.samples[index].identity for index in side} for side in (first.queries, first.gallery))
    query, gallery = (source.samples[side[0]].modality for side in (first.queries, first.gallery))
    return Result(
        source.name,
        trials.setting,
        metrics,
        len(first.queries),
        len(first.gallery),
        benchmark=source.dataset,
        variant=way.name,
        reranking=way.parameters(),
        origin=origin,
        direction=f"{query}-to-{gallery}",
        num_distractors=len(searched - queried),
        splits=(source.split,) if source.split else (),
        note=BENCHMARKS[source.dataset].notes.get(trials.setting.protocol, ""),
    )
