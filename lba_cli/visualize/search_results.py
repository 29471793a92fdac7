"""Query images with the first of the gallery images that a search found, best first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from lba_cli.data.image_files import BrokenImage, read_image
from lba_cli.search.query import Hit
from lba_cli.visualize.canvas import QUERY, new_figure, place, show_image, write

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Inches: an image's width, the gap between images, the outer margin, a row's line of text, the head with the title; a
# picture's least width.
TILE, GAP, MARGIN, LINE, HEAD, LEAST_WIDTH = 0.58, 0.09, 0.12, 0.24, 0.5, 3.3
ABSENT = 225  # the gray of an image that isn't there any more
LONGEST_NAME = 14


def ranked_lists(lists: Sequence[tuple[str, Sequence[Hit]]], height: int, width: int) -> Figure:
    """Draw each query's path and hits as a row of images at ``height`` × ``width`` pixels, with scores.

    Who is right isn't known here, so nothing is framed but the query. A gallery image that can't be read any more is gray.
    """
    tall = TILE * height / width
    columns = max((len(hits) for _, hits in lists), default=0)
    wide = max(2 * MARGIN + (columns + 1) * (TILE + GAP) + GAP, LEAST_WIDTH)
    figure = new_figure(wide, HEAD + len(lists) * (tall + LINE) + MARGIN)
    write(figure, MARGIN, 0.22, "Queries and what was found, with scores", fontsize=9)
    for row, (query, hits) in enumerate(lists):
        top = HEAD + row * (tall + LINE)
        axes = place(figure, MARGIN, top, TILE, tall)
        show_image(axes, _image(query, height, width), _name(query), frame=QUERY)
        for column, hit in enumerate(hits, start=1):
            axes = place(figure, MARGIN + GAP + column * (TILE + GAP), top, TILE, tall)
            show_image(axes, _image(hit.path, height, width), f"{column}   {hit.score:.3f}")
    return figure


def _image(path: str, height: int, width: int) -> NDArray[np.uint8]:
    try:
        return read_image(path, height, width)
    except BrokenImage:
        return np.full((height, width, 3), ABSENT, np.uint8)


def _name(path: str) -> str:
    name = Path(path).name
    return name if len(name) <= LONGEST_NAME else f"…{name[-LONGEST_NAME + 1 :]}"
