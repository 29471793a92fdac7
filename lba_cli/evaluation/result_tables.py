"""A report as files that other programs and papers take: CSV and Markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from lba_cli.datasets import get_dataset
from lba_cli.evaluation.results import FIGURES, Report, Result

PAPER = {"rank1": "rank-1", "rank10": "rank-10", "rank20": "rank-20", "mAP": "mAP", "mINP": "mINP"}
FACTS = (
    *("kind", "model", "trained_on", "dataset", "trial_numbers", "mode", "direction", "shots", "protocol", "variant"),
    *("trials", "num_query", "num_query_counted", "num_gallery", "benchmark", "note"),
)


def csv_text(report: Report) -> str:
    """A line a setting and variant: what was measured, and each figure's mean and standard deviation as fractions."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*FACTS, *(column for name in FIGURES for column in (name, f"{name}_std"))])
    for result in report.results:
        mean, spread = result.mean(), result.spread()
        writer.writerow([*_facts(result), *(value for name in FIGURES for value in (mean[name], spread[name]))])
    for row in report.published:
        s = row.setting
        title = get_dataset(report.results[0].benchmark).title
        known = ["published", row.label, "", title, "", s.mode, "", s.shots, s.protocol, "plain"]
        figures = [value for name in FIGURES for value in (row.figures.get(name, ""), "")]
        writer.writerow([*known, *[""] * (len(FACTS) - len(known) - 2), report.results[0].benchmark, "", *figures])
    return text.getvalue()


def _facts(result: Result) -> list[str | int]:
    setting = result.setting
    return [
        *("measured", result.origin.name, result.origin.trained_on, result.dataset),
        *(" ".join(map(str, result.trial_numbers)), setting.mode, result.direction, setting.shots, setting.protocol),
        *(result.variant, len(result.trials), result.num_query, result.trials[0].num_queries, result.num_gallery),
        *(result.benchmark, result.note),
    ]


def markdown_text(report: Report) -> str:
    """A paper's table: rank-1, -10, -20, mAP and mINP in percent, mean ± standard deviation over the trials."""
    lines = [f"**{_cell(report.title())}**", "", *_rule(["model", "setting", "variant", *PAPER.values()])]
    for result in report.results:
        mean, spread = result.mean(), result.spread()
        several = len(result.trials) > 1
        cells = [f"{100 * mean[n]:.2f}" + (f" ± {100 * spread[n]:.2f}" if several else "") for n in PAPER]
        lines.append(_row([report.model_name(result), str(result.setting), result.variant, *cells]))
    for row in report.published:
        cells = [f"{100 * row.figures[name]:.2f}" if name in row.figures else "–" for name in PAPER]
        lines.append(_row([report.published_name(row), str(row.setting), "plain", *cells]))
    if len(report.models) > 1:
        lines += ["", *_difference_lines(report)]
    lines += [line for note in report.notes() for line in ("", _cell(note))]
    return "\n".join(lines) + "\n"


def difference_rule(report: Report) -> str:
    """What the table of differences says, in words."""
    return (
        f"Difference to {report.models[0][0].origin.name}, in points: mean ± standard deviation of the trial-wise "
        "differences; * where the mean is larger than that deviation"
    )


def difference_cells(report: Report, names: Sequence[str], joint: str = " ± ") -> list[tuple[Result, list[str]]]:
    """For every model but the first: the result, and its difference to the first in each of the figures ``names``."""
    rows = []
    for difference in report.differences():
        mean, spread, beyond = difference.mean(), difference.spread(), difference.beyond_spread()
        cells = []
        for name in names:
            cell = f"{100 * mean[name]:+.2f}"
            if spread and beyond:
                cell += f"{'*' if beyond[name] else ''}{joint}{100 * spread[name]:.2f}"
            cells.append(cell)
        rows.append((difference.other, cells))
    return rows


def _difference_lines(report: Report) -> list[str]:
    lines = [_cell(difference_rule(report)), "", *_rule(["model", "setting", "variant", *PAPER.values()])]
    for result, cells in difference_cells(report, list(PAPER)):
        lines.append(_row([report.model_name(result), str(result.setting), result.variant, *cells]))
    return lines


def _rule(names: Sequence[str]) -> list[str]:
    return [_row(names), "|" + " --- |" * len(names)]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _cell(text: str) -> str:
    """Text that Markdown shows as it is."""
    for mark in "\\|*_`<>":
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())
