"""Evaluate a network on SYSU-MM01's protocols: every needed image is embedded once, for all settings and trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lba_cli.config import EvaluationSection
from lba_cli.data.samples import Sample
from lba_cli.data.store import ImageSource
from lba_cli.errors import DataError
from lba_cli.evaluation.features import Embeddings, embed_samples
from lba_cli.evaluation.protocols import (
    GALLERY_CAMERAS,
    QUERY_CAMERAS,
    SHOT_COUNT,
    TRIALS,
    community_gallery,
    load_permutations,
    official_gallery,
)
from lba_cli.evaluation.ranking import Metrics, ignored_pairs, rank_metrics
from lba_cli.evaluation.report import Result, Setting
from lba_cli.model import TwoStreamNetwork
from lba_cli.reporting import Listener
from lba_cli.vocabulary import MODES, SHOTS

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Trials:
    """Who is compared with whom in one setting: sample indices of the queries, and of each trial's gallery."""

    setting: Setting
    queries: list[int]
    galleries: list[list[int]]


def settings(section: EvaluationSection) -> list[Setting]:
    """The settings that a configuration asks for, all-search before indoor-search."""
    modes = MODES if section.mode == "all" else (section.mode,)
    shots = SHOTS if section.shots == "both" else (section.shots,)
    return [Setting(mode, shot, section.protocol) for mode in modes for shot in shots]


def evaluate(
    network: TwoStreamNetwork,
    source: ImageSource,
    wanted: Sequence[Setting],
    *,
    listener: Listener,
    batch_size: int = 128,
    workers: int | None = None,
) -> list[Result]:
    """Score ``network`` on the test images of ``source`` in every setting of ``wanted``.

    Raises:
        DataError: there are no test images, or the official draws don't fit this copy.
    """
    trials = [draw_trials(source, setting) for setting in wanted]
    needed = {index for each in trials for images in (each.queries, *each.galleries) for index in images}
    embeddings = embed_samples(network, source, needed, listener=listener, batch_size=batch_size, workers=workers)
    with listener.task("ranking", TRIALS * len(trials), "trials") as progress:
        results = []
        for each in trials:
            metrics = []
            for gallery in each.galleries:
                metrics.append(rank_trial(source.samples, embeddings, each.queries, gallery))
                progress.advance()
            results.append(Result(source.name, each.setting, tuple(metrics), len(each.queries), len(each.galleries[0])))
    return results


def draw_trials(source: ImageSource, setting: Setting) -> Trials:
    """Draw the queries and ten galleries of ``setting``.

    Raises:
        DataError: there are no queries, no gallery, or the official draws don't fit.
    """
    directories = directories_of(source.samples)
    queries = [i for (_, camera), images in sorted(directories.items()) if camera in QUERY_CAMERAS for i in images]
    cameras, shots = GALLERY_CAMERAS[setting.mode], SHOT_COUNT[setting.shots]
    if setting.protocol == "official":
        if source.permutations is None:
            raise DataError(f"{source.name}: exp/rand_perm_cam.mat is missing, which the official protocol needs")
        permutations = load_permutations(source.permutations)
        galleries = [official_gallery(directories, permutations, cameras, trial, shots) for trial in range(TRIALS)]
    else:
        galleries = [community_gallery(directories, cameras, trial, shots) for trial in range(TRIALS)]
    if not queries or not galleries[0]:
        lacking = "infrared queries (cameras 3 and 6)" if not queries else f"gallery images under cameras {cameras}"
        raise DataError(f"{source.name}: the test identities have no {lacking}")
    return Trials(setting, queries, galleries)


def directories_of(samples: Sequence[Sample]) -> dict[tuple[int, int], list[int]]:
    """Indices of the test samples by (identity, camera), each list in the order of the paths."""
    directories: dict[tuple[int, int], list[int]] = {}
    for index, sample in enumerate(samples):
        if sample.part == "test":
            directories.setdefault((sample.identity, sample.camera), []).append(index)
    return {key: sorted(images, key=lambda i: samples[i].path) for key, images in directories.items()}


def rank_trial(
    samples: Sequence[Sample], embeddings: Embeddings, queries: Sequence[int], gallery: Sequence[int]
) -> Metrics:
    """The figures of one trial: score = dot product, SYSU-MM01's rules.

    Raises:
        DataError: no query has a true match in the gallery.
    """
    try:
        return rank_metrics(
            -(embeddings.of(queries) @ embeddings.of(gallery).T),
            *_columns(samples, queries, gallery, "identity"),
            *_columns(samples, queries, gallery, "camera"),
            protocol="sysu",
        )
    except ValueError as problem:
        raise DataError(f"the test images can't be evaluated: {problem}") from problem


def excluded(samples: Sequence[Sample], queries: Sequence[int], gallery: Sequence[int]) -> NDArray[np.bool_]:
    """(queries, gallery) bool: which gallery images each query ignores."""
    return ignored_pairs(
        *_columns(samples, queries, gallery, "identity"),
        *_columns(samples, queries, gallery, "camera"),
        protocol="sysu",
    )


def _columns(
    samples: Sequence[Sample], queries: Sequence[int], gallery: Sequence[int], name: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    first, second = (np.asarray([getattr(samples[i], name) for i in side], np.int64) for side in (queries, gallery))
    return first, second
