"""Queries with the first ten of their ranked gallery, right ones framed green and wrong ones red."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from lba_cli.data.samples import NO_CAMERA, Sample
from lba_cli.data.store import ImageSource
from lba_cli.datasets import Setting
from lba_cli.errors import DataError
from lba_cli.evaluation.embedding import embed_samples
from lba_cli.evaluation.scoring import draw_setting, ignored_images
from lba_cli.model import TwoStreamNetwork
from lba_cli.reporting import Listener
from lba_cli.visualize.canvas import (
    INCHES,
    QUERY,
    RIGHT,
    RIGHT_MARK,
    WRONG,
    WRONG_MARK,
    headline,
    new_figure,
    place,
    show_image,
)
from lba_cli.vocabulary import PaperWidth

if TYPE_CHECKING:
    from collections.abc import Sequence

# Inches: an image's least width, the gap between images, the outer margin, a row's two lines of text, the head.
LEAST, GAP, MARGIN, LINE, HEAD = 0.42, 0.07, 0.1, 0.28, 0.3


def ranking(
    network: TwoStreamNetwork,
    source: ImageSource,
    setting: Setting,
    *,
    listener: Listener,
    queries: int = 6,
    top: int = 10,
    trial: int = 0,
    seed: int = 0,
    identities: Sequence[int] | None = None,
    workers: int | None = None,
    width: PaperWidth = "page",
) -> Figure:
    """Draw queries in rows, each with the ``top`` gallery images of one trial, best first, and their scores.

    Gallery images that the protocol ignores for a query are left out, as in the figures. Right ones have a solid frame and
    a tick, wrong ones a dashed frame and a cross. A list too long for ``width`` makes the picture wider.

    Raises:
        DataError: there is nothing to rank, or a named identity has no query.
    """
    drawn = draw_setting(source, setting).draws
    if trial >= len(drawn):
        raise DataError(
            f"{source.name}: {setting.mode} has {len(drawn)} trials, counted from 0; there is no trial {trial}"
        )
    chosen = _choose(source, drawn[trial].queries, queries, seed, identities)
    gallery = drawn[trial].gallery
    embeddings = embed_samples(network, source, [*chosen, *gallery], listener=listener, workers=workers)
    scores = embeddings.of(chosen) @ embeddings.of(gallery).T
    scores[ignored_images(source, chosen, gallery)] = -np.inf
    tile = max(LEAST, (INCHES[width] - 2 * MARGIN - GAP) / (top + 1) - GAP)
    tall = tile * source.height / source.width
    figure = new_figure(2 * MARGIN + (top + 1) * (tile + GAP) + GAP, HEAD + len(chosen) * (tall + LINE) + MARGIN)
    title = (
        f"Ranked galleries, {setting.mode}, {setting.gallery_words}, trial\u00a0{drawn[trial].number}, {source.name}"
    )
    headline(figure, MARGIN, title)
    for row, (query, values) in enumerate(zip(chosen, scores, strict=True)):
        height = HEAD + row * (tall + LINE) + LINE
        sample = source.samples[query]
        axes = place(figure, MARGIN, height, tile, tall)
        show_image(axes, source.read([query])[0], _query_label(sample), frame=QUERY)
        order = np.argsort(-values, kind="stable")[:top]
        for column, index in enumerate(order[np.isfinite(values[order])], start=1):
            found = source.samples[gallery[index]]
            axes = place(figure, MARGIN + GAP + column * (tile + GAP), height, tile, tall)
            colour, mark = (RIGHT, RIGHT_MARK) if found.identity == sample.identity else (WRONG, WRONG_MARK)
            label = f"{mark} {found.identity:04d}\n{values[index]:.3f}"
            show_image(axes, source.read([gallery[index]])[0], label, frame=colour)
    return figure


def _query_label(sample: Sample) -> str:
    return f"query {sample.identity:04d}" + ("" if sample.camera == NO_CAMERA else f"\ncam {sample.camera}")


def _choose(
    source: ImageSource, queries: Sequence[int], count: int, seed: int, identities: Sequence[int] | None
) -> list[int]:
    """Queries of different identities, drawn by ``seed``, or one of each named identity."""
    of_identity: dict[int, list[int]] = {}
    for index in queries:
        of_identity.setdefault(source.samples[index].identity, []).append(index)
    random = np.random.default_rng(seed)
    names = identities or sorted(random.permutation(list(of_identity))[:count].tolist())
    for name in names:
        if name not in of_identity:
            raise DataError(
                f"identity {name} has no query image; there are {', '.join(map(str, list(of_identity)[:20]))}"
            )
    return [int(random.choice(of_identity[name])) for name in names]
