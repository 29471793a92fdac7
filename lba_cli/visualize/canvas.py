"""Drawing primitives that know no model: arrays in, picture out."""

from __future__ import annotations

import io
import math
import textwrap
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch, Rectangle
from matplotlib.ticker import MaxNLocator

from lba_cli.files import whole_file
from lba_cli.outputs import require_new_file
from lba_cli.vocabulary import PaperWidth

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Okabe and Ito's colours, which the colour-blind can tell apart; what they say is also said by marks, frames and dashes.
RIGHT, WRONG, QUERY = "#009e73", "#d55e00", "#0072b2"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
DASHES = ("-", "--", ":", "-.", (0, (6, 1)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 1)))
RIGHT_MARK, WRONG_MARK = "✓", "✗"
# A two-column paper's widths in inches, for which sizes of type are given in points: nothing is below 6.
INCHES: dict[PaperWidth, float] = {"column": 3.3, "page": 7.0}
HEADLINE, TEXT, SMALL = 8.0, 7.0, 6.0
# Inches around plots: for the headline of all, left of each, right of each, below each; and a line of a legend.
HEADROOM, LABELS, EDGE, BELOW, LEGEND_LINE = 0.3, 0.5, 0.1, 0.4, 0.125
DOTS_PER_INCH = 300
SUFFIXES = (".png", ".svg", ".pdf")
STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": TEXT,
    "text.parse_math": False,  # a dollar in a stranger's file name is a dollar
    "axes.labelsize": TEXT,
    "axes.linewidth": 0.6,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "pdf.fonttype": 42,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
}


class Picture(Figure):
    """A figure that a notebook shows when it is a cell's result, without pyplot and its list of open figures."""

    def _repr_png_(self) -> bytes:
        return _drawn(self, "png")


def new_figure(width: float, height: float) -> Picture:
    """An empty figure of ``width`` × ``height`` inches, independent of any display."""
    with rc_context(STYLE):
        figure = Picture(figsize=(width, height), dpi=DOTS_PER_INCH)
    FigureCanvasAgg(figure)
    return figure


def plot_grid(figure: Figure, heads: Sequence[float], columns: int) -> list[Axes]:
    """Axes for plots, row by row, below a headline; above row n are ``heads[n]`` inches for titles and legends."""
    width, height = figure.get_size_inches()
    wide = width / columns - LABELS - EDGE
    tall = (height - HEADROOM - sum(heads)) / len(heads) - BELOW
    found, top = [], HEADROOM
    for head in heads:
        top += head
        found += [place(figure, n * width / columns + LABELS, top, wide, tall) for n in range(columns)]
        top += tall + BELOW
    return found


def legend_shape(names: Sequence[str], width: float) -> tuple[int, int]:
    """In how many columns and rows a legend of ``names`` fits ``width`` inches; one name alone needs none."""
    if len(names) < 2:
        return 0, 0
    longest = max(map(len, names)) * 0.5 * SMALL / 72 + 0.28
    columns = max(1, min(len(names), int(width / longest)))
    return columns, math.ceil(len(names) / columns)


def head_of(names: Sequence[str], width: float) -> float:
    """Inches above a plot of ``width`` inches for its title and the legend of ``names``."""
    return 0.24 + LEGEND_LINE * legend_shape(names, width)[1]


def place(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """New axes of ``width`` × ``height`` inches, ``left`` and ``top`` inches from the figure's upper left corner."""
    whole_width, whole_height = figure.get_size_inches()
    bottom = whole_height - top - height
    with rc_context(STYLE):
        return figure.add_axes((left / whole_width, bottom / whole_height, width / whole_width, height / whole_height))


def write(figure: Figure, left: float, top: float, text: str, **style: Any) -> None:
    """Write ``text`` with its baseline ``top`` inches below the upper edge, from ``left`` inches (or as ``ha`` says)."""
    width, height = figure.get_size_inches()
    figure.text(left / width, 1 - top / height, text, **{"fontsize": TEXT, "parse_math": False, **style})


def headline(figure: Figure, left: float, text: str) -> None:
    """Write what a picture shows at its top, on two lines at most; what is longer ends in an ellipsis."""
    width = figure.get_size_inches()[0]
    letters = int((width - 2 * left) * 72 / (0.56 * HEADLINE))
    shown = textwrap.fill(text, letters, break_on_hyphens=False, max_lines=2, placeholder=" …")
    write(figure, left, 0.06, shown, fontsize=HEADLINE, va="top")


def save(figure: Figure, path: Path, *, force: bool = False) -> None:
    """Write ``figure`` as a picture whose kind is the path's ending, whole or not at all.

    Raises:
        LbaError: the file exists and ``force`` isn't given, or its ending isn't png, svg or pdf.
    """
    require_new_picture(path, force=force)
    content = _drawn(figure, path.suffix[1:].lower())
    with whole_file(path, replace=force) as partial:
        partial.write_bytes(content)


def _drawn(figure: Figure, kind: str) -> bytes:
    """The picture in memory, so that a full disk is an error of writing, not a surprise within the drawing."""
    buffer = io.BytesIO()
    with rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # names in other scripts: a box stands for a letter
        figure.savefig(buffer, format=kind, facecolor="white")
    return buffer.getvalue()


def require_new_picture(path: Path, *, force: bool, option: str = "--output") -> None:
    """Refuse a picture's path before the work for it is done; see :func:`save`."""
    require_new_file(path, force=force, suffixes=SUFFIXES, option=option)


def show_image(axes: Axes, image: NDArray[np.uint8], title: str = "", *, frame: str | None = None) -> None:
    """Show an (H, W, 3) uint8 image without axes, with a frame of the colour ``frame``: dashed where that is WRONG."""
    axes.imshow(image)
    axes.set_axis_off()
    if title:
        axes.set_title(title, fontsize=SMALL, pad=2.5)
    if frame:
        height, width = image.shape[:2]
        dashes = (0, (2.5, 1.5)) if frame == WRONG else "-"
        axes.add_patch(
            Rectangle(
                (-0.5, -0.5), width, height, fill=False, edgecolor=frame, linewidth=1.8, linestyle=dashes, clip_on=False
            )
        )


def show_heat(axes: Axes, image: NDArray[np.uint8], heat: NDArray[np.float32], title: str = "") -> None:
    """Lay an (h, w) map with values in [0, 1] over an (H, W, 3) image, smoothly enlarged."""
    height, width = image.shape[:2]
    axes.imshow(image.mean(axis=2), cmap="gray", vmin=0, vmax=255)
    axes.imshow(
        heat, cmap="magma", vmin=0, vmax=1, alpha=0.6, extent=(-0.5, width - 0.5, height - 0.5, -0.5),
        interpolation="bilinear",
    )  # fmt: skip
    axes.set_axis_off()
    if title:
        axes.set_title(title, fontsize=SMALL, pad=2.5)


def connect(
    left: Axes,
    right: Axes,
    points: NDArray[np.float64],
    strength: NDArray[np.float64],
    span: float,
) -> None:
    """Draw lines from places in the left image to places in the right one.

    Args:
        left, right: axes that show images.
        points: (M, 4) x, y in the left and x, y in the right image, in pixels.
        strength: (M,) in [0, 1]; stronger lines are thicker and more opaque.
        span: height of the left image; a line's colour tells how far down it starts.
    """
    colours = colormaps["plasma"](0.05 + 0.85 * points[:, 1] / span)
    for (x1, y1, x2, y2), weight, colour in zip(points, strength, colours, strict=True):
        line = ConnectionPatch(
            (x1, y1), (x2, y2), "data", "data", axesA=left, axesB=right,
            color=colour, linewidth=0.6 + 1.2 * weight, alpha=0.45 + 0.55 * weight,
        )  # fmt: skip
        figure = left.get_figure()
        assert figure is not None
        figure.add_artist(line)
        for axes, x, y in ((left, x1, y1), (right, x2, y2)):
            axes.plot(x, y, "o", color=colour, markersize=2.6, markeredgecolor="white", markeredgewidth=0.4)


def plot_curves(
    axes: Axes, curves: Mapping[str, tuple[Sequence[float], Sequence[float]]], x: str, y: str, title: str = ""
) -> None:
    """Plot named (x values, y values) curves, told apart by colours, dashes and marks, below their legend and a title."""
    for index, (name, (xs, ys)) in enumerate(curves.items()):
        kind = index % len(COLOURS)
        style: Any = {"color": COLOURS[kind], "linestyle": DASHES[kind], "linewidth": 1.1}
        axes.plot(xs, ys, label=name, marker="os^Dv<>"[kind] if len(xs) < 25 else "", markersize=2.5, **style)
    if not curves:
        axes.text(0.5, 0.5, "none yet", transform=axes.transAxes, ha="center", fontsize=SMALL)
        axes.set_yticks([])
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if len({value for xs, _ in curves.values() for value in xs}) == 1:
        axes.set_xlim(xs[0] - 1, xs[0] + 1)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    figure = axes.get_figure()
    assert figure is not None
    columns, rows = legend_shape(list(curves), axes.bbox.width / figure.dpi)
    axes.set_title(title, fontsize=TEXT, loc="left", pad=3 + 72 * LEGEND_LINE * rows)
    if rows:
        axes.legend(
            loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, fontsize=SMALL, borderpad=0, borderaxespad=0.2,
            labelspacing=0.3, columnspacing=1.0, handlelength=2.2, frameon=False,
        )  # fmt: skip
