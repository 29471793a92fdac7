"""Evaluation results as tables on a terminal. Columns are left out until a table fits.

In terminals of at least 78 characters, figures are never cut.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table

from lba_cli.cli.console import LITERAL
from lba_cli.datasets import Setting
from lba_cli.evaluation import verification_results
from lba_cli.evaluation.correspondence_results import CHANCE, COLUMNS, row_cells, table_rows, title
from lba_cli.evaluation.correspondences import PREDICTIONS
from lba_cli.evaluation.result import FIGURES, Result
from lba_cli.evaluation.result_tables import difference_cells, difference_rule
from lba_cli.evaluation.results import EvaluationResults
from lba_cli.evaluation.verification_results import verification_cells

if TYPE_CHECKING:
    from rich.console import RenderableType

COUNTS = ("query", "gallery")
# Columns to leave out, tried in this order until a table fits. Each choice is first tried without breaking words.
LEFT_OUT = ((), ("rank20",), ("rank20", "rank5"), ("rank20", "rank5", *COUNTS))
CORRESPONDENCES_LEFT_OUT = ((), ("median_error",), ("median_error", "pck_0.05"))
NARROW, UNBROKEN = 13, 1000
PREDICTION_WIDTH = 21  # of the longest prediction's name
HEADING_WIDTH = 8


def report_tables(report: EvaluationResults, width: int) -> Iterator[RenderableType]:
    """Yield the table of results, the table of differences if there are several models, and the notes.

    ``width`` is the terminal's width, in characters.
    """
    yield figures_table(report, width)
    if len(report.models) > 1:
        yield _fitting(partial(_differences_table, report), width)
    if report.verified():
        yield _verification_table(report)
    if report.correspondences:
        yield _fitting(partial(_correspondences_table, report), width, CORRESPONDENCES_LEFT_OUT)
    yield from report.notes()


def figures_table(report: EvaluationResults, width: int) -> Table:
    """Return the table of means ± standard deviations in percent, at most ``width`` characters wide if possible."""
    return _fitting(partial(_figures_table, report), width)


def _fitting(
    make: Callable[[Sequence[str], int], Table], width: int, choices: Sequence[Sequence[str]] = LEFT_OUT
) -> Table:
    """Return the table with the most columns that fits into ``width`` characters, or the narrowest table if none fits."""
    for left_out, limit in itertools.product(choices, (UNBROKEN, NARROW)):
        table = make(left_out, limit)
        if Console(width=UNBROKEN, **LITERAL).measure(table).maximum <= width:
            break
    return table


def _figures_table(report: EvaluationResults, left_out: Sequence[str], limit: int) -> Table:
    extras = _Columns(report, limit)
    counts, names = ([name for name in group if name not in left_out] for group in (COUNTS, FIGURES))
    table = _table(report.title(), extras.names, *counts, *names)
    for result in report.results:
        mean, spread = result.mean(), result.spread()
        several = len(result.trials) > 1
        cells = [f"{100 * mean[n]:.2f}" + (f"\n±{100 * spread[n]:.2f}" if several else "") for n in names]
        sizes = [result.query_words(), str(result.num_gallery)][: len(counts)]
        table.add_row(*extras.of(result), *sizes, *cells)
    for row in report.published:
        cells = [f"{100 * row.figures[name]:.2f}" if name in row.figures else "" for name in names]
        table.add_row(*extras.cells(report.published_name(row), "plain", row.setting), *[""] * len(counts), *cells)
    return table


def _differences_table(report: EvaluationResults, left_out: Sequence[str], limit: int) -> Table:
    extras = _Columns(report, limit)
    names = [name for name in FIGURES if name not in left_out]
    table = _table(difference_rule(report), extras.names, *names)
    for result, cells in difference_cells(report, names, joint="\n±"):
        table.add_row(*extras.of(result), *cells)
    return table


def _verification_table(report: EvaluationResults) -> Table:
    extras = _Columns(report, NARROW)
    results = report.verified()
    cells = [verification_cells(result.verification, result.deviation, "\n±") for result in results]
    columns = [*verification_results.COLUMNS.values(), *verification_results.THRESHOLDS.values()]
    shown = [number for number in range(len(columns)) if any(row[number] for row in cells)]
    table = _table(verification_results.TITLE, extras.names, *(broken(columns[number], NARROW) for number in shown))
    for result, row in zip(results, cells, strict=True):
        table.add_row(*extras.of(result), *(row[number] for number in shown))
    return table


def _correspondences_table(report: EvaluationResults, left_out: Sequence[str], limit: int) -> Table:
    several = len(report.correspondences) > 1
    shown = [number for number, name in enumerate(COLUMNS) if name not in left_out]
    headings = [broken(heading, HEADING_WIDTH) for name, heading in COLUMNS.items() if name not in left_out]
    table = _table(title(report.correspondences), ["model"] * several + ["stage", "prediction"], *headings)
    before = ""
    for row in table_rows(report.correspondences):
        model, before = "" if row.model == before else row.model, row.model
        words = [model] * several + [row.stage if row.prediction not in CHANCE else "", PREDICTIONS[row.prediction]]
        cells = row_cells(row, joint="\n±")
        table.add_row(*(broken(word, min(limit, PREDICTION_WIDTH)) for word in words), *(cells[n] for n in shown))
    return table


class _Columns:
    """The columns before the figures: the setting, and also the model and the variant if the rows differ in these."""

    def __init__(self, report: EvaluationResults, limit: int) -> None:
        self.report, self.limit = report, limit
        self.model = len(report.models) > 1 or bool(report.published)
        self.variant = any(result.variant != "plain" for result in report.results)
        self.names = ["model"] * self.model + ["variant"] * self.variant + ["setting"]

    def of(self, result: Result) -> list[str]:
        return self.cells(self.report.model_name(result), result.variant, result.setting)

    def cells(self, model: str, variant: str, setting: Setting) -> list[str]:
        words = [model] * self.model + [variant] * self.variant
        setting_words = [broken(setting.mode, self.limit), broken(setting.gallery_words, self.limit)]
        return [*(broken(word, self.limit) for word in words), "\n".join(setting_words)]


def broken(text: str, limit: int) -> str:
    """Break ``text`` into lines of at most ``limit`` characters, but only after spaces and the characters ``-+,(/``."""
    lines = [""]
    for piece in re.findall(r"[^-+,(/ ]*[-+,(/ ]?", text):
        if lines[-1] and len(lines[-1]) + len(piece.rstrip()) > limit:
            lines.append("")
        lines[-1] += piece
    return "\n".join(line.rstrip() for line in lines)


def _table(title: str, words: Sequence[str], *figures: str) -> Table:
    table = Table(title=title, box=box.SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    for column in words:
        table.add_column(column, overflow="fold", no_wrap=column != "model")
    for column in figures:
        table.add_column(column, no_wrap=True)
    return table
