"""Draw queries and galleries, and score embeddings by a data set's protocol and match rules."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from lba_cli.datasets import Draw, EvaluationSet, Setting, get_dataset
from lba_cli.datasets.galleries import cameras_known
from lba_cli.errors import DataError
from lba_cli.evaluation.distances import BLOCK_ELEMENTS, Block, Distances
from lba_cli.evaluation.embedding import Embeddings
from lba_cli.evaluation.feature_files import FeatureSet
from lba_cli.evaluation.labels import Labels, encode_labels, ignored_by
from lba_cli.evaluation.network_embedder import View
from lba_cli.evaluation.ranking import Metrics, average_precisions, rank_metrics_blockwise
from lba_cli.evaluation.rerank import Reranking, rerank
from lba_cli.evaluation.result import UNKNOWN_MODEL, Result, ScoredModel
from lba_cli.evaluation.setting_choice import selection_setting
from lba_cli.evaluation.variants import Variant
from lba_cli.evaluation.verification import verification
from lba_cli.reporting import Listener
from lba_cli.vocabulary import MODALITIES

CPU = torch.device("cpu")
_Columns = tuple[NDArray[np.int64], NDArray[np.int64] | None]  # identities and cameras of all samples


@dataclass(frozen=True)
class SettingDraws:
    """A setting and all its draws."""

    setting: Setting
    draws: tuple[Draw, ...]

    def samples(self) -> set[int]:
        """Return the indices of all samples that are a query or in a gallery."""
        return {index for draw in self.draws for side in (draw.queries, draw.gallery) for index in side}


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
            problem = f"the test identities have no {modality} {lacking} for {setting.mode}"
            raise DataError(f"{source.name}: {problem}{_how_to_test_others(source)}")
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
    verify: bool = False,
) -> list[Result]:
    """Rank the draws of every setting in every variant; return a list of their results, grouped by setting.

    Args:
        source, drawn: the data set, and the settings with their draws.
        embeddings: the embeddings of all queries and gallery images, in every view that the variants use.
        variants, device: how distances are computed, and the device that computes them.
        listener: receives the progress.
        model: what the results say about the model of the embeddings.
        verify: whether the results also say how well pairs of images are verified (:mod:`lba_cli.evaluation.verification`). Reranked
            distances depend on the whole gallery and give no scores of pairs, so they aren't verified.

    Raises:
        DataError: no query has a true match in the gallery.
    """
    every_draw, columns = [draw for each in drawn for draw in each.draws], _columns(source)
    plain = {v.view: Distances(embeddings[v.view], every_draw, device) for v in variants if not v.reranking}
    results = []
    with listener.task("ranking", len(variants) * len(every_draw), "draws") as progress:
        for each in drawn:
            for variant in variants:
                metrics, verified = [], []
                for draw in each.draws:
                    if variant.reranking:
                        blocks = _reranked(embeddings[variant.view], draw, variant.reranking)
                    else:
                        blocks = plain[variant.view].blocks(draw)
                        if verify:
                            verified.append(_verify_draw(source, columns, draw, plain[variant.view].blocks(draw)))
                    metrics.append(_rank_draw(source, columns, draw, blocks))
                    progress.advance()
                result = _result(source, each, variant, tuple(metrics), model)
                results.append(replace(result, verification=tuple(verified)))
    return results


def require_scorable(source: EvaluationSet) -> None:
    """Check that the usual setting of a data set can be scored, before any work is done.

    Raises:
        DataError: there are no queries, no gallery images, or no query has a true match; the message says which.
    """
    draw = draw_setting(source, selection_setting(source)).draws[0]
    columns, step = _columns(source), max(1, BLOCK_ELEMENTS // len(draw.gallery))
    for start in range(0, len(draw.queries), step):
        query, gallery = _labels(columns, draw.queries[start : start + step], draw.gallery)
        match = query.identity[:, None] == gallery.identity
        if (match & ~_ignored(source, query, gallery)).any():
            return
    raise _unscorable(source, "no query has a true match in the gallery")


def query_precisions(source: EvaluationSet, draw: Draw, distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the (Q,) average precisions of a draw's queries from (Q, G) distances.

    The precision of a query without a true match, which doesn't count, is NaN.
    """
    labels = _labels(_columns(source), draw.queries, draw.gallery)
    return average_precisions(distance, *labels, get_dataset(source.dataset).match_rules)


def ignored_images(source: EvaluationSet, queries: Sequence[int], gallery: Sequence[int]) -> NDArray[np.bool_]:
    """Return a (queries, gallery) bool array that is true where the query ignores the gallery image."""
    return _ignored(source, *_labels(_columns(source), queries, gallery))


def _ignored(source: EvaluationSet, query: Labels, gallery: Labels) -> NDArray[np.bool_]:
    ignored = ignored_by(get_dataset(source.dataset).match_rules, query, gallery)
    return np.zeros((len(query.identity), len(gallery.identity)), bool) if ignored is None else ignored


def _rank_draw(source: EvaluationSet, columns: _Columns, draw: Draw, blocks: Iterable[Block]) -> Metrics:
    labels = _labels(columns, draw.queries, draw.gallery)
    try:
        return rank_metrics_blockwise(blocks, *labels, get_dataset(source.dataset).match_rules)
    except ValueError as problem:
        raise _unscorable(source, problem) from problem


def _verify_draw(source: EvaluationSet, columns: _Columns, draw: Draw, blocks: Iterable[Block]) -> dict[str, float]:
    """Return the figures of verification over all pairs of a query and a gallery image that the query doesn't ignore."""
    query, gallery = _labels(columns, draw.queries, draw.gallery)
    scores, same = [], []
    for rows, distance in blocks:
        counted = ~_ignored(source, query.rows(rows), gallery)
        scores.append(-distance[counted])
        same.append((query.identity[rows][:, None] == gallery.identity)[counted])
    try:
        return verification(np.concatenate(scores), np.concatenate(same)).figures()
    except ValueError as problem:
        raise DataError(
            f"{source.name}: pairs of images can't be verified: {problem}: leave out --verification"
        ) from problem


def _columns(source: EvaluationSet) -> _Columns:
    """Return the identities and the cameras of all samples. The cameras are None if one of a test image is unknown."""
    cameras = np.asarray([s.camera for s in source.samples]) if cameras_known(source.samples) else None
    return np.asarray([sample.identity for sample in source.samples]), cameras


def _labels(columns: _Columns, queries: Sequence[int], gallery: Sequence[int]) -> tuple[Labels, Labels]:
    sides = [np.asarray(side, np.int64) for side in (queries, gallery)]
    known, cameras = columns
    return encode_labels(
        *(known[side] for side in sides), *(None if cameras is None else cameras[side] for side in sides)
    )


def _reranked(embeddings: Embeddings, draw: Draw, parameters: Reranking) -> Iterator[Block]:
    queries, gallery = (embeddings.of(side).astype(np.float32) for side in (draw.queries, draw.gallery))
    yield slice(None), rerank(queries, gallery, parameters)


def _unscorable(source: EvaluationSet, problem: object) -> DataError:
    spec = get_dataset(source.dataset)
    people = [{s.identity for s in source.samples if s.split == "test" and s.modality == m} for m in MODALITIES]
    if people[0].isdisjoint(people[1]):
        cause = f"no test identity has images of both modalities{_how_to_test_others(source)}"
    else:
        cause = f"the protocol of {spec.title} ignores every match (see docs/protocols.md)"
    return DataError(f"{source.name}: the test images can't be evaluated: {problem}; {cause}")


def _how_to_test_others(source: EvaluationSet) -> str:
    """Return advice on choosing other test people; empty if the split is fixed, as in a file of features."""
    spec = get_dataset(source.dataset)
    return f": {spec.advice().test_others}" if spec.split_is_drawn and not isinstance(source, FeatureSet) else ""


def _result(
    source: EvaluationSet, drawn: SettingDraws, variant: Variant, metrics: tuple[Metrics, ...], model: ScoredModel
) -> Result:
    query, gallery = ([source.samples[i] for i in side] for side in (drawn.draws[0].queries, drawn.draws[0].gallery))
    distractors = {sample.identity for sample in gallery} - {sample.identity for sample in query}
    return Result(
        source.name,
        drawn.setting,
        metrics,
        len(query),
        len(gallery),
        benchmark=source.dataset,
        variant=variant.name,
        reranking=variant.parameters(),
        model=model,
        direction=f"{query[0].modality}-to-{gallery[0].modality}",
        num_distractors=len(distractors),
        trial_numbers=(source.trial,) if source.trial else (),
        note=get_dataset(source.dataset).protocol_notes.get(drawn.setting.protocol, ""),
    )
