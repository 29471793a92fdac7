"""Draw queries beside the gallery images that rank first for them, marked as right or wrong."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from lba_cli.data.samples import NO_CAMERA, Sample
from lba_cli.data.store import ImageSource
from lba_cli.datasets import Draw, EvaluationSet, Setting
from lba_cli.errors import DataError
from lba_cli.evaluation.distances import dot_products
from lba_cli.evaluation.embedding import embed_views
from lba_cli.evaluation.network_embedder import PLAIN
from lba_cli.evaluation.scoring import draw_setting, ignored_images
from lba_cli.model import TwoStreamNetwork
from lba_cli.reporting import Listener
from lba_cli.visualize.canvas import INCHES, QUERY, headline, new_figure, place, show_image, verdict
from lba_cli.visualize.people import MOST_LISTED, PictureOptions

# Lengths in inches: the smallest width of an image, the gap between images, the outer margin, the two lines of text above a
# row, and the headline.
LEAST, GAP, MARGIN, LINE, HEAD = 0.42, 0.07, 0.1, 0.28, 0.3


def ranking(
    network: TwoStreamNetwork,
    source: ImageSource,
    setting: Setting,
    options: PictureOptions = PictureOptions(people=6),
    *,
    listener: Listener,
    top: int = 10,
    draw: int = 0,
    workers: int | None = None,
) -> Figure:
    """Draw a row for each query: the query and the ``top`` gallery images of one draw, best first, with their scores.

    Each query shows a different person. Gallery images that the match rules ignore for a query are left out, as in the
    evaluation. Right images have a solid frame and a tick, wrong ones a dashed frame and a cross. The picture is wider than
    ``options.width`` if the images would otherwise be too small.

    Args:
        source: the data set at the network's image size.
        setting: which queries search which gallery.
        options: the people of the queries, and the width.
        top: the number of gallery images in a row.
        draw: the number of the gallery draw, from 0.
        workers: the number of processes that load images; chosen automatically if None.

    Raises:
        DataError: there are no queries or gallery images, there is no such draw, or one of ``options.identities`` has no query.
    """
    draws = draw_setting(source, setting).draws
    if draw >= len(draws):
        last = f"the last one is {len(draws) - 1} (draws are numbered from 0)"
        raise DataError(f"{source.name}: {setting.mode} has no draw {draw}; {last}")
    queries, gallery = _choose_queries(source, draws[draw].queries, options), draws[draw].gallery
    embeddings = embed_views(network, source, [*queries, *gallery], listener=listener, workers=workers)[PLAIN]
    scores = dot_products(embeddings.of(queries), embeddings.of(gallery))
    scores[ignored_images(source, queries, gallery)] = -np.inf
    tile = max(LEAST, (INCHES[options.width] - 2 * MARGIN - GAP) / (top + 1) - GAP)
    tall = tile * source.height / source.width
    figure = new_figure(2 * MARGIN + (top + 1) * (tile + GAP) + GAP, HEAD + len(queries) * (tall + LINE) + MARGIN)
    drawn = draw_name(source, draws[draw]).replace(" ", "\u00a0")
    headline(figure, MARGIN, f"Ranked galleries, {setting}, {drawn}, {source.name}")
    for row, (query, values) in enumerate(zip(queries, scores, strict=True)):
        height = HEAD + row * (tall + LINE) + LINE
        sample = source.samples[query]
        axes = place(figure, MARGIN, height, tile, tall)
        show_image(axes, source.read([query])[0], _query_label(sample), frame=QUERY)
        order = np.argsort(-values, kind="stable")[:top]
        for column, index in enumerate(order[np.isfinite(values[order])], start=1):
            found = source.samples[gallery[index]]
            axes = place(figure, MARGIN + GAP + column * (tile + GAP), height, tile, tall)
            colour, mark = verdict(found.identity == sample.identity)
            label = f"{mark} {found.identity:04d}\n{values[index]:.3f}"
            show_image(axes, source.read([gallery[index]])[0], label, frame=colour)
    return figure


def draw_name(source: EvaluationSet, draw: Draw) -> str:
    """Return the name of a gallery draw in titles: ``draw 0``, or ``trial 3`` if the data set has trials."""
    return f"{'trial' if source.trial else 'draw'} {draw.number}"


def _query_label(sample: Sample) -> str:
    return f"query {sample.identity:04d}" + ("" if sample.camera == NO_CAMERA else f"\ncam {sample.camera}")


def _choose_queries(source: ImageSource, queries: Sequence[int], options: PictureOptions) -> list[int]:
    """Choose one query at random for each of ``options.identities`` or, if that is None, of random people."""
    by_identity: dict[int, list[int]] = {}
    for index in queries:
        by_identity.setdefault(source.samples[index].identity, []).append(index)
    random = np.random.default_rng(options.seed)
    identities = options.identities or sorted(random.permutation(list(by_identity))[: options.people].tolist())
    for identity in identities:
        if identity not in by_identity:
            available = ", ".join(map(str, list(by_identity)[:MOST_LISTED]))
            raise DataError(f"identity {identity} has no query image (available: {available})")
    return [int(random.choice(by_identity[identity])) for identity in identities]
