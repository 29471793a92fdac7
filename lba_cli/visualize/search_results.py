"""Query images beside the gallery images that a search found, best first."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lba_cli.data.broken_images import BrokenImage
from lba_cli.data.image_files import read_image
from lba_cli.search.query import Hit
from lba_cli.visualize.canvas import INCHES, QUERY, new_figure, place, show_image, write

# Inches: the width of an image, the gap between images, the outer margin, the text above a row, and the title.
TILE, GAP, MARGIN, LINE, HEAD = 0.58, 0.09, 0.12, 0.24, 0.5
MISSING_GRAY = 225  # stands for an image that can't be read any more
LONGEST_NAME = 14


def ranked_lists(lists: Sequence[tuple[str, Sequence[Hit]]], height: int, width: int) -> Figure:
    """Draw a row for each query: the query and the images that were found for it, with ranks and scores.

    A search doesn't know which images are right, so only the query is framed. A gallery image that can't be read any more
    is shown in gray.

    Args:
        lists: the path of each query, and its hits.
        height, width: of the images, in pixels.
    """
    tall = TILE * height / width
    columns = max((len(hits) for _, hits in lists), default=0)
    figure_width = max(2 * MARGIN + (columns + 1) * (TILE + GAP) + GAP, INCHES["column"])
    figure = new_figure(figure_width, HEAD + len(lists) * (tall + LINE) + MARGIN)
    write(figure, MARGIN, 0.22, "Queries and search results, with scores", fontsize=9)
    for row, (query, hits) in enumerate(lists):
        top = HEAD + row * (tall + LINE)
        axes = place(figure, MARGIN, top, TILE, tall)
        show_image(axes, _image(query, height, width), _short_name(query), frame=QUERY)
        for column, hit in enumerate(hits, start=1):
            axes = place(figure, MARGIN + GAP + column * (TILE + GAP), top, TILE, tall)
            show_image(axes, _image(hit.path, height, width), f"{column}   {hit.score:.3f}")
    return figure


def _image(path: str, height: int, width: int) -> NDArray[np.uint8]:
    try:
        return read_image(path, height, width)
    except BrokenImage:
        return np.full((height, width, 3), MISSING_GRAY, np.uint8)


def _short_name(path: str) -> str:
    name = Path(path).name
    return name if len(name) <= LONGEST_NAME else f"…{name[-LONGEST_NAME + 1 :]}"
