"""Drawing primitives, which take arrays and depend neither on networks nor on data sets."""

import io
import math
import textwrap
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch, Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from lba_cli.files import whole_file
from lba_cli.outputs import require_new_file
from lba_cli.vocabulary import PaperWidth

# The palette of Okabe and Ito, whose colours colour-blind readers can tell apart. Marks, frames and dashes show the
# same as the colours.
RIGHT, WRONG, QUERY = "#009e73", "#d55e00", "#0072b2"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
DASHES = ("-", "--", ":", "-.", (0, (6, 1)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 1)))
RIGHT_MARK, WRONG_MARK = "✓", "✗"
# The widths of a picture in a two-column paper, in inches. At these widths, no text is smaller than 6 points.
INCHES: dict[PaperWidth, float] = {"column": 3.3, "page": 7.0}
HEADLINE, TEXT, SMALL = 8.0, 7.0, 6.0  # font sizes in points
# Lengths in inches: the space for the picture's headline; the space left of, right of and below each plot; and the height
# of one line of a legend.
HEADROOM, LEFT_SPACE, RIGHT_SPACE, SPACE_BELOW, LEGEND_LINE = 0.3, 0.5, 0.1, 0.4, 0.125
DOTS_PER_INCH = 300
SUFFIXES = (".png", ".svg", ".pdf")
STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": TEXT,
    "text.parse_math": False,  # file names may contain dollar signs
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
    """A figure that notebooks display. It doesn't use pyplot, which would keep every figure open."""

    def _repr_png_(self) -> bytes:
        return _encode(self, "png")


def new_figure(width: float, height: float) -> Picture:
    """Create an empty figure of ``width`` × ``height`` inches; no display is needed."""
    with rc_context(STYLE):
        figure = Picture(figsize=(width, height), dpi=DOTS_PER_INCH)
    FigureCanvasAgg(figure)
    return figure


def plot_grid(
    width: float, legends: Sequence[Sequence[str]], columns: int, plot_height: float
) -> tuple[Picture, list[Axes]]:
    """Create a figure ``width`` inches wide, and return it with the axes of its plots, row by row.

    The plots are ``plot_height`` inches high and stand in ``columns`` below the headline. ``legends`` has the names in the
    legend of each plot. Above each row, there is room for titles and legends.
    """
    plot_width = width / columns - LEFT_SPACE - RIGHT_SPACE
    heads = [0.24 + LEGEND_LINE * legend_shape(names, plot_width)[1] for names in legends]
    rows = [max(heads[n : n + columns]) for n in range(0, len(heads), columns)]
    figure = new_figure(width, HEADROOM + sum(rows) + len(rows) * (plot_height + SPACE_BELOW))
    grid, top = [], HEADROOM
    for head in rows:
        top += head
        grid += [place(figure, n * width / columns + LEFT_SPACE, top, plot_width, plot_height) for n in range(columns)]
        top += plot_height + SPACE_BELOW
    return figure, grid


def legend_shape(names: Sequence[str], width: float) -> tuple[int, int]:
    """Return the columns and rows of a legend of ``names`` in ``width`` inches; (0, 0) for fewer than two names."""
    if len(names) < 2:
        return 0, 0
    longest = max(map(len, names)) * 0.5 * SMALL / 72 + 0.28
    columns = max(1, min(len(names), int(width / longest)))
    return columns, math.ceil(len(names) / columns)


def place(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Add axes of ``width`` × ``height`` inches, ``left`` and ``top`` inches from the figure's upper left corner."""
    full_width, full_height = figure.get_size_inches()
    bottom = full_height - top - height
    with rc_context(STYLE):
        return figure.add_axes((left / full_width, bottom / full_height, width / full_width, height / full_height))


def write(figure: Figure, left: float, top: float, text: str, **style: Any) -> None:
    """Write ``text`` ``left`` inches from the figure's left edge, with its baseline ``top`` inches below the upper edge.

    ``style`` holds properties of matplotlib's text, such as ``ha`` and ``fontsize``.
    """
    width, height = figure.get_size_inches()
    figure.text(left / width, 1 - top / height, text, **{"fontsize": TEXT, "parse_math": False, **style})


def headline(figure: Figure, left: float, text: str) -> None:
    """Write the title of a picture, ``left`` inches from its edge, on at most two lines; a longer title ends in an ellipsis."""
    width = figure.get_size_inches()[0]
    letters = int((width - 2 * left) * 72 / (0.56 * HEADLINE))
    shown = textwrap.fill(text, letters, break_on_hyphens=False, max_lines=2, placeholder=" …")
    write(figure, left, 0.06, shown, fontsize=HEADLINE, va="top")


def save(figure: Figure, path: Path, *, force: bool = False) -> None:
    """Write ``figure`` to ``path`` atomically.

    Args:
        path: the file; its suffix .png, .svg or .pdf decides the format.
        force: replace an existing file.

    Raises:
        LbaError: the file exists and ``force`` is false, or it has another suffix.
    """
    require_new_picture(path, force=force)
    content = _encode(figure, path.suffix[1:].lower())
    with whole_file(path, replace=force) as partial:
        partial.write_bytes(content)


def _encode(figure: Figure, kind: str) -> bytes:
    """Encode a figure in memory, so that an error about a full disk doesn't occur inside matplotlib."""
    buffer = io.BytesIO()
    with rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # the font lacks some scripts and draws boxes
        figure.savefig(buffer, format=kind, facecolor="white")
    return buffer.getvalue()


def require_new_picture(path: Path, *, force: bool, option: str = "--output") -> None:
    """Check the path of a picture before any work is done; raise what :func:`save` raises."""
    require_new_file(path, force=force, suffixes=SUFFIXES, option=option)


def verdict(right: bool) -> tuple[str, str]:
    """Return the colour and the mark of a right or a wrong match."""
    return (RIGHT, RIGHT_MARK) if right else (WRONG, WRONG_MARK)


def show_image(axes: Axes, image: NDArray[np.uint8], title: str = "", *, frame: str | None = None) -> None:
    """Show an (H, W, 3) uint8 image; ``frame`` is the colour of a frame around it, which is dashed if it is ``WRONG``."""
    axes.imshow(image)
    _hide_axes(axes, title)
    if frame:
        height, width = image.shape[:2]
        axes.add_patch(
            Rectangle(
                (-0.5, -0.5), width, height, fill=False, edgecolor=frame, linewidth=1.8, clip_on=False,
                linestyle=(0, (2.5, 1.5)) if frame == WRONG else "-",
            )
        )  # fmt: skip


def show_heat(axes: Axes, image: NDArray[np.uint8], heat: NDArray[np.float32], title: str = "") -> None:
    """Show an (H, W, 3) uint8 image in gray under a smoothly enlarged (h, w) map of values in [0, 1]."""
    height, width = image.shape[:2]
    axes.imshow(image.mean(axis=2), cmap="gray", vmin=0, vmax=255)
    axes.imshow(
        heat, cmap="magma", vmin=0, vmax=1, alpha=0.6, extent=(-0.5, width - 0.5, height - 0.5, -0.5),
        interpolation="bilinear",
    )  # fmt: skip
    _hide_axes(axes, title)


def _hide_axes(axes: Axes, title: str) -> None:
    axes.set_axis_off()
    axes.set_title(title, fontsize=SMALL, pad=2.5)


def connect(
    left: Axes,
    right: Axes,
    points: NDArray[np.float64],
    strength: NDArray[np.float64],
    chosen: Sequence[str] | None = None,
) -> None:
    """Draw lines from positions in the left image to positions in the right one.

    Args:
        left, right: axes that show images.
        points: (M, 4) x and y in the left image, x and y in the right image, in pixels.
        strength: (M,) in [0, 1]; stronger lines are thicker and more opaque.
        chosen: the colour of each line; lines of the colour ``WRONG`` are dashed. Without it, a line's colour shows how far down it
            starts.
    """
    height = abs(float(np.subtract(*left.get_ylim())))
    colours = chosen or colormaps["plasma"](0.05 + 0.85 * points[:, 1] / height)
    for (x1, y1, x2, y2), weight, colour in zip(points, strength, colours, strict=True):
        line = ConnectionPatch(
            (x1, y1), (x2, y2), "data", "data", axesA=left, axesB=right,
            color=colour, linewidth=0.6 + 1.2 * weight, alpha=0.45 + 0.55 * weight,
            linestyle="--" if isinstance(colour, str) and colour == WRONG else "-",
        )  # fmt: skip
        left.figure.add_artist(line)
        for axes, x, y in ((left, x1, y1), (right, x2, y2)):
            axes.plot(x, y, "o", color=colour, markersize=2.6, markeredgecolor="white", markeredgewidth=0.4)


def mark_places(axes: Axes, true: NDArray[np.float64], found: NDArray[np.float64]) -> None:
    """Mark (M, 2) true places, x and y in pixels, with rings, and join each by a dotted line to the place that was found instead."""
    for (x1, y1), (x2, y2) in zip(true, found, strict=True):
        axes.plot((x1, x2), (y1, y2), ":", color=RIGHT, linewidth=0.8)
        axes.plot(x1, y1, "o", markersize=4, markerfacecolor="none", markeredgecolor=RIGHT, markeredgewidth=0.8)


def plot_curves(
    axes: Axes,
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    x: str,
    y: str,
    title: str = "",
    bands: Mapping[str, tuple[Sequence[float], Sequence[float]]] = MappingProxyType({}),
) -> None:
    """Plot curves below a title and a legend; curves differ in colour, dashes and marker.

    ``curves`` has the x values and the y values of each curve by name; ``x`` and ``y`` are the labels of the axes. ``bands``
    has the least and the largest y value at each x value of a curve, whose band gets the curve's colour.
    """
    for index, (name, (xs, ys)) in enumerate(curves.items()):
        turn, kind = divmod(index, len(COLOURS))  # once all colours are used, they repeat with other dashes
        style: Any = {"color": COLOURS[kind], "linestyle": DASHES[(kind + turn) % len(DASHES)], "linewidth": 1.1}
        axes.plot(xs, ys, label=name, marker="os^Dv<>"[kind] if len(xs) < 25 else "", markersize=2.5, **style)
        if name in bands:
            axes.fill_between(xs, *bands[name], color=COLOURS[kind], alpha=0.2, linewidth=0)
    if not curves:
        axes.text(0.5, 0.5, "no data yet", transform=axes.transAxes, ha="center", fontsize=SMALL)
        axes.set_yticks([])
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if len({value for xs, _ in curves.values() for value in xs}) == 1:
        axes.set_xlim(xs[0] - 1, xs[0] + 1)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    columns, rows = legend_shape(list(curves), axes.bbox.width / axes.figure.dpi)
    axes.set_title(title, fontsize=TEXT, loc="left", pad=3 + 72 * LEGEND_LINE * rows)
    if rows:
        axes.legend(
            loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, fontsize=SMALL, borderpad=0, borderaxespad=0.2,
            labelspacing=0.3, columnspacing=1.0, handlelength=2.2, frameon=False,
        )  # fmt: skip
