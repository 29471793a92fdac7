"""A report as tables on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich import box
from rich.markup import escape
from rich.table import Table

from lba_cli.evaluation.report import FIGURES, Report, Result
from lba_cli.evaluation.tables import difference_cells, difference_rule

if TYPE_CHECKING:
    from rich.console import RenderableType


def report_tables(report: Report) -> Iterator[RenderableType]:
    """The figures, the differences between models where there are several, and what a reader has to know besides."""
    yield figures_table(report)
    if len(report.models) > 1:
        yield _differences_table(report)
    yield from report.notes()


def figures_table(report: Report) -> Table:
    """A row a setting, variant and model: means ± deviations in percent."""
    extras = _Columns(report)
    table = _table(report.title(), *extras.names, "setting", "query", "gallery", *FIGURES)
    for result in report.results:
        mean, spread = result.mean(), result.spread()
        several = len(result.trials) > 1
        cells = [f"{100 * mean[n]:.2f}" + (f"\n±{100 * spread[n]:.2f}" if several else "") for n in FIGURES]
        setting = f"{result.setting.mode}\n{result.setting.gallery_words()}"
        table.add_row(*extras.of(result), setting, result.query_words(), str(result.num_gallery), *cells)
    for row in report.published:
        cells = [f"{100 * row.figures[name]:.2f}" if name in row.figures else "" for name in FIGURES]
        setting = f"{row.setting.mode}\n{row.setting.gallery_words()}"
        table.add_row(*extras.cells(escape(row.label), "plain"), setting, "", "", *cells)
    return table


class _Columns:
    """The columns that are there only where they tell rows apart: the model, and the variant."""

    def __init__(self, report: Report) -> None:
        self.model = len(report.models) > 1 or bool(report.published)
        self.variant = any(result.variant != "plain" for result in report.results)
        self.names = self.cells("model", "variant")

    def of(self, result: Result) -> list[str]:
        return self.cells(escape(result.origin.name), result.variant)

    def cells(self, model: str, variant: str) -> list[str]:
        return [model] * self.model + [variant] * self.variant


def _differences_table(report: Report) -> Table:
    extras = _Columns(report)
    table = _table(difference_rule(report), *extras.names, "setting", *FIGURES)
    for result, cells in difference_cells(report, FIGURES, joint="\n±"):
        table.add_row(*extras.of(result), f"{result.setting.mode}\n{result.setting.gallery_words()}", *cells)
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=escape(title), box=box.SIMPLE, padding=(0, 1))
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
