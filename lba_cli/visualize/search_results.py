"""Draw query images beside the gallery images that a search found, best first."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lba_cli.data.broken_images import BrokenImage
from lba_cli.data.image_files import read_image
from lba_cli.errors import one_line
from lba_cli.reporting import Listener, Silent
from lba_cli.search.gallery import Hit, IndexDescription
from lba_cli.visualize.canvas import INCHES, QUERY, new_figure, place, show_image, write

# Lengths in inches: the width of an image, the gap between images, the outer margin, the text above a row, and the title.
TILE, GAP, MARGIN, LINE, HEAD = 0.58, 0.09, 0.12, 0.24, 0.5
MISSING_GRAY = 225  # the gray level that replaces an image that can't be read any more
LONGEST_NAME = 14
MOST_NAMED = 5  # missing images in a warning


def ranked_lists(
    lists: Sequence[tuple[str, Sequence[Hit]]], index: IndexDescription, listener: Listener = Silent()
) -> Figure:
    """Draw a row for each query: the query and the images that were found for it, with ranks and scores.

    Only the query has a frame, because a search doesn't know which images are right. An image that can't be read any more is
    drawn as a gray tile, and the listener is warned.

    Args:
        lists: the path of each query, and its hits.
        index: the description of the index, which says how its images are read.
        listener: receives the warning.
    """
    images = {path: _image(path, index) for path in dict.fromkeys(_paths(lists))}
    _warn_of_missing({path: image for path, image in images.items() if isinstance(image, BrokenImage)}, listener)
    missing = np.full((index.height, index.width, 3), MISSING_GRAY, np.uint8)
    pixels = {path: missing if isinstance(image, BrokenImage) else image for path, image in images.items()}
    tall = TILE * index.height / index.width
    columns = max((len(hits) for _, hits in lists), default=0)
    figure_width = max(2 * MARGIN + (columns + 1) * (TILE + GAP) + GAP, INCHES["column"])
    figure = new_figure(figure_width, HEAD + len(lists) * (tall + LINE) + MARGIN)
    write(figure, MARGIN, 0.22, "Queries and search results, with scores", fontsize=9)
    for row, (query, hits) in enumerate(lists):
        top = HEAD + row * (tall + LINE)
        axes = place(figure, MARGIN, top, TILE, tall)
        show_image(axes, pixels[query], _short_name(query), frame=QUERY)
        for column, hit in enumerate(hits, start=1):
            axes = place(figure, MARGIN + GAP + column * (TILE + GAP), top, TILE, tall)
            show_image(axes, pixels[hit.path], f"{column}   {hit.score:.3f}")
    return figure


def _paths(lists: Sequence[tuple[str, Sequence[Hit]]]) -> Iterator[str]:
    for query, hits in lists:
        yield query
        yield from (hit.path for hit in hits)


def _image(path: str, index: IndexDescription) -> NDArray[np.uint8] | BrokenImage:
    try:
        return read_image(path, index.height, index.width, index.value_range)
    except BrokenImage as problem:
        return problem


def _warn_of_missing(missing: Mapping[str, BrokenImage], listener: Listener) -> None:
    if missing:
        named = [f"{path} ({problem})" for path, problem in missing.items()]
        more = f" and {len(named) - MOST_NAMED} more" if len(named) > MOST_NAMED else ""
        listener.warn(
            f"images that can't be read any more are drawn as gray tiles: {', '.join(named[:MOST_NAMED])}{more}; "
            "put them back, or rebuild the index"
        )


def _short_name(path: str) -> str:
    name = one_line(Path(path).name)
    return name if len(name) <= LONGEST_NAME else f"…{name[-LONGEST_NAME + 1 :]}"
