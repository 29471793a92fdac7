"""Draw queries and galleries, and score embeddings by a data set's protocol and match rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from lba_cli.datasets import Draw, EvaluationSet, Setting, get_dataset
from lba_cli.datasets.galleries import cameras_known
from lba_cli.errors import DataError
from lba_cli.evaluation.distances import BLOCK_ELEMENTS, Block, Distances
from lba_cli.evaluation.embedding import Embeddings
from lba_cli.evaluation.network_embedder import View
from lba_cli.evaluation.ranking import Metrics, average_precisions, ignored_pairs, rank_metrics_blockwise
from lba_cli.evaluation.rerank import Reranking, rerank
from lba_cli.evaluation.results import UNKNOWN_MODEL, Result, ScoredModel
from lba_cli.evaluation.setting_choice import selection_setting
from lba_cli.evaluation.variants import Variant
from lba_cli.reporting import Listener
from lba_cli.vocabulary import MODALITIES

CPU = torch.device("cpu")


@dataclass(frozen=True)
class SettingDraws:
    """A setting and all its draws."""

    setting: Setting
    draws: tuple[Draw, ...]

    def samples(self) -> set[int]:
        """Return the indices of all samples that are a query or in a gallery."""
        return {index for draw in self.draws for side in (draw.queries, draw.gallery) for index in side}


class Labels(NamedTuple):
    """The labels that ranking uses.

    Attributes:
        identity: (samples,) identities.
        camera: (samples,) cameras; None unless the cameras of all test images are known.
    """

    identity: NDArray[np.int64]
    camera: NDArray[np.int64] | None


def draw_setting(source: EvaluationSet, setting: Setting) -> SettingDraws:
    """Draw the queries and the galleries of ``setting`` by the data set's protocol.

    Raises:
        DataError: there are no queries or no gallery images, or the draws don't fit this copy of the data set.
    """
    spec = get_dataset(source.dataset)
    draws = spec.draw(source, setting)
    for side, modality in zip(("queries", "gallery"), spec.modes[setting.mode], strict=True):
        if not getattr(draws[0], side):
            lacking = "queries" if side == "queries" else "gallery images"
            raise DataError(f"{source.name}: the test identities have no {modality} {lacking} for {setting.mode}")
    return SettingDraws(setting, draws)


def score(
    source: EvaluationSet,
    drawn: Sequence[SettingDraws],
    embeddings: Mapping[View, Embeddings],
    variants: Sequence[Variant] = (Variant(),),
    *,
    listener: Listener,
    model: ScoredModel = UNKNOWN_MODEL,
    device: torch.device = CPU,
) -> list[Result]:
    """Rank the draws of every setting in every variant.

    Args:
        source: the data set.
        drawn: the settings and their draws.
        embeddings: the embeddings of all queries and gallery images, in every view that the variants use.
        variants: how distances are computed.
        listener: receives the progress.
        model: what the results say about the model of the embeddings.
        device: where distances are computed and ranked.

    Returns:
        A result for each setting and variant, settings first.

    Raises:
        DataError: no query has a true match in the gallery.
    """
    labels = labels_of(source)
    every_draw = [draw for each in drawn for draw in each.draws]
    plain = {v.view: Distances(embeddings[v.view], every_draw, device) for v in variants if not v.reranking}
    results = []
    with listener.task("ranking", len(variants) * len(every_draw), "draws") as progress:
        for each in drawn:
            for variant in variants:
                metrics = []
                for draw in each.draws:
                    if variant.reranking:
                        blocks = _reranked(embeddings[variant.view], draw, variant.reranking)
                    else:
                        blocks = plain[variant.view].blocks(draw)
                    metrics.append(_rank_draw(source, labels, draw, blocks))
                    progress.advance()
                results.append(_result(source, each, variant, tuple(metrics), model))
    return results


def require_scorable(source: EvaluationSet) -> None:
    """Refuse a data set whose usual setting can't be scored, before any work is done.

    Raises:
        DataError: there are no queries, no gallery images, or no query has a true match; the message says which.
    """
    draw = draw_setting(source, selection_setting(source)).draws[0]
    labels, step = labels_of(source), max(1, BLOCK_ELEMENTS // len(draw.gallery))
    for start in range(0, len(draw.queries), step):
        columns = _columns(labels, draw.queries[start : start + step], draw.gallery)
        ignored = ignored_pairs(*columns, protocol=get_dataset(source.dataset).match_rules)
        if ((columns[0][:, None] == columns[1]) & ~ignored).any():
            return
    raise _unscorable(source, "no query has a true match in the gallery")


def labels_of(source: EvaluationSet) -> Labels:
    """Return the labels of a data set's samples."""
    identity, camera = (np.asarray([getattr(s, name) for s in source.samples], np.int64) for name in Labels._fields)
    return Labels(identity, camera if cameras_known(source.samples) else None)


def query_precisions(source: EvaluationSet, draw: Draw, distance: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the average precision of each query of a draw.

    Args:
        source: the data set.
        draw: Q queries and G gallery images.
        distance: (Q, G).

    Returns:
        (Q,) average precisions; NaN for a query that has no true match and therefore doesn't count.
    """
    columns = _columns(labels_of(source), draw.queries, draw.gallery)
    return average_precisions(distance, *columns, protocol=get_dataset(source.dataset).match_rules)


def ignored_images(source: EvaluationSet, queries: Sequence[int], gallery: Sequence[int]) -> NDArray[np.bool_]:
    """Return a (queries, gallery) bool array that is true where the query ignores the gallery image."""
    columns = _columns(labels_of(source), queries, gallery)
    return ignored_pairs(*columns, protocol=get_dataset(source.dataset).match_rules)


def _rank_draw(source: EvaluationSet, labels: Labels, draw: Draw, blocks: Iterable[Block]) -> Metrics:
    columns = _columns(labels, draw.queries, draw.gallery)
    try:
        return rank_metrics_blockwise(blocks, *columns, protocol=get_dataset(source.dataset).match_rules)
    except ValueError as problem:
        raise _unscorable(source, problem) from problem


def _columns(
    labels: Labels, queries: Sequence[int], gallery: Sequence[int]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64] | None, NDArray[np.int64] | None]:
    """Return the identities of queries and gallery, and the cameras of both."""
    sides = (np.asarray(queries, np.int64), np.asarray(gallery, np.int64))
    identities = [labels.identity[side] for side in sides]
    cameras = [None if labels.camera is None else labels.camera[side] for side in sides]
    return identities[0], identities[1], cameras[0], cameras[1]


def _reranked(embeddings: Embeddings, draw: Draw, parameters: Reranking) -> Iterator[Block]:
    yield slice(None), rerank(embeddings.of(draw.queries), embeddings.of(draw.gallery), parameters)


def _unscorable(source: EvaluationSet, problem: object) -> DataError:
    spec = get_dataset(source.dataset)
    people = [{s.identity for s in source.samples if s.split == "test" and s.modality == m} for m in MODALITIES]
    if people[0].isdisjoint(people[1]):
        cause = "no test identity has images of both modalities"
        if spec.split_is_drawn:
            cause += ": change the test split (data.test_share, data.test_ids), or test nobody (data.test_share=0)"
    else:
        cause = f"the protocol of {spec.title} ignores every match (see docs/protocols.md)"
    return DataError(f"{source.name}: the test images can't be evaluated: {problem}; {cause}")


def _result(
    source: EvaluationSet, drawn: SettingDraws, variant: Variant, metrics: tuple[Metrics, ...], model: ScoredModel
) -> Result:
    first = drawn.draws[0]
    queried, searched = ({source.samples[index].identity for index in side} for side in (first.queries, first.gallery))
    query, gallery = (source.samples[side[0]].modality for side in (first.queries, first.gallery))
    return Result(
        source.name,
        drawn.setting,
        metrics,
        len(first.queries),
        len(first.gallery),
        benchmark=source.dataset,
        variant=variant.name,
        reranking=variant.parameters(),
        model=model,
        direction=f"{query}-to-{gallery}",
        num_distractors=len(searched - queried),
        trial_numbers=(source.trial,) if source.trial else (),
        note=get_dataset(source.dataset).protocol_notes.get(drawn.setting.protocol, ""),
    )
