"""Queries with the first ten of their ranked gallery, right ones framed green and wrong ones red."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from lba_cli.data.store import ImageSource
from lba_cli.evaluation.features import embed_samples
from lba_cli.evaluation.report import Setting
from lba_cli.evaluation.run import draw_trials, excluded
from lba_cli.model import TwoStreamNetwork
from lba_cli.reporting import Listener
from lba_cli.visualize.canvas import QUERY, RIGHT, WRONG, new_figure, show_image

if TYPE_CHECKING:
    from collections.abc import Sequence


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
) -> Figure:
    """Draw queries in rows, each with the ``top`` gallery images of one trial, best first, and their scores.

    Gallery images that the protocol ignores for a query are left out, as in the figures.

    Raises:
        DataError: there is nothing to rank, or a named identity has no query.
    """
    drawn = draw_trials(source, setting)
    chosen = _choose(source, drawn.queries, queries, seed, identities)
    gallery = drawn.galleries[trial]
    embeddings = embed_samples(network, source, [*chosen, *gallery], listener=listener, workers=workers)
    scores = embeddings.of(chosen) @ embeddings.of(gallery).T
    scores[excluded(source.samples, chosen, gallery)] = -np.inf
    width = 0.62 * (top + 1)
    figure = new_figure(width, 0.5 + len(chosen) * (0.22 + 0.55 * source.height / source.width))
    grid = np.atleast_2d(figure.subplots(len(chosen), top + 1))
    for row, query, values in zip(grid, chosen, scores, strict=True):
        sample = source.samples[query]
        show_image(row[0], source.read([query])[0], f"{sample.identity:04d} cam{sample.camera}", frame=QUERY)
        order = np.argsort(-values, kind="stable")[:top]
        for axes in row[1:]:
            axes.set_axis_off()
        for axes, place in zip(row[1:], order[np.isfinite(values[order])], strict=False):
            found = source.samples[gallery[place]]
            colour = RIGHT if found.identity == sample.identity else WRONG
            title = f"{found.identity:04d} {values[place]:.2f}"
            show_image(axes, source.read([gallery[place]])[0], title, frame=colour)
    figure.suptitle(f"Ranked galleries, {setting.mode}, {setting.shots}-shot, trial {trial}, {source.name}", fontsize=9)
    return figure


def _choose(
    source: ImageSource, queries: Sequence[int], count: int, seed: int, identities: Sequence[int] | None
) -> list[int]:
    """Queries of different identities, drawn by ``seed``, or one of each named identity."""
    from lba_cli.errors import DataError

    of_identity: dict[int, list[int]] = {}
    for index in queries:
        of_identity.setdefault(source.samples[index].identity, []).append(index)
    random = np.random.default_rng(seed)
    names = identities or sorted(random.permutation(list(of_identity))[:count].tolist())
    for name in names:
        if name not in of_identity:
            raise DataError(f"identity {name} has no query image; there are {', '.join(map(str, list(of_identity)[:20]))}")
    return [int(random.choice(of_identity[name])) for name in names]
