"""Evaluation results as text for other programs and for papers: CSV and Markdown."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from lba_cli.datasets import get_dataset
from lba_cli.evaluation import correspondence_results, verification_results
from lba_cli.evaluation.correspondence_results import COLUMNS, row_cells, table_rows
from lba_cli.evaluation.correspondences import PREDICTIONS
from lba_cli.evaluation.differences import Difference
from lba_cli.evaluation.result import FIGURES, Result
from lba_cli.evaluation.results import EvaluationResults
from lba_cli.evaluation.verification_results import verification_cells

PAPER = {"rank1": "rank-1", "rank10": "rank-10", "rank20": "rank-20", "mAP": "mAP", "mINP": "mINP"}
FACTS = (
    *("kind", "model", "trained_on", "dataset", "trial_numbers", "seeds", "std_over"),
    *("mode", "direction", "shots", "protocol", "variant"),
    *("trials", "num_query", "num_query_counted", "num_gallery", "benchmark", "note"),
)


def csv_text(results: EvaluationResults) -> str:
    """Return CSV with a line for each result and published row: the mean and standard deviation of each figure, as fractions.

    If correspondences were measured, each of their rows has a line as well, with columns of its own.
    """
    text = io.StringIO()
    columns = [*FACTS, *_with_spread(FIGURES)]
    columns += [*verification_results.COLUMNS, *verification_results.THRESHOLDS] if results.verified() else []
    columns += ["stage", "prediction", *_with_spread(COLUMNS)] if results.correspondences else []
    writer = csv.DictWriter(text, columns, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for result in results.results:
        facts: dict[str, Any] = result.as_json() | {
            "kind": "measured",
            "model": result.model.name,
            "trained_on": result.model.trained_on,
            "trial_numbers": " ".join(map(str, result.trial_numbers)),
            "seeds": " ".join(map(str, result.seeds)),
            "trials": len(result.trials),
        }
        writer.writerow({**facts, **_named(result.mean(), result.spread()), **result.verification_mean()})
    for row in results.published:
        benchmark = results.results[0].benchmark
        facts = asdict(row.setting) | {"kind": "published", "model": row.label, "dataset": get_dataset(benchmark).title}
        writer.writerow({**facts, "variant": "plain", "benchmark": benchmark, **row.figures})
    for line in table_rows(results.correspondences) if results.correspondences else []:
        facts = {"kind": "correspondences", "model": line.model, "stage": line.stage, "prediction": line.prediction}
        writer.writerow({**facts, **_named(line.mean, line.spread)})
    return text.getvalue()


def _with_spread(names: Iterable[str]) -> list[str]:
    """Return the columns of figures and of their standard deviations."""
    return [column for name in names for column in (name, f"{name}_std")]


def _named(mean: Mapping[str, float], spread: Mapping[str, float]) -> dict[str, float]:
    """Return means and standard deviations by their columns."""
    return {**mean, **{f"{name}_std": value for name, value in spread.items()}}


def markdown_text(results: EvaluationResults) -> str:
    """Return a Markdown table of rank-1, -10, -20, mAP and mINP in percent, as mean ± standard deviation over the trials."""
    head = ["", _row(["model", "setting", "variant", *PAPER.values()]), "|" + " --- |" * (3 + len(PAPER))]
    lines = [f"**{_cell(results.title())}**", *head]
    for result in results.results:
        mean, spread = result.mean(), result.spread()
        several = len(result.trials) > 1
        cells = [f"{100 * mean[n]:.2f}" + (f" ± {100 * spread[n]:.2f}" if several else "") for n in PAPER]
        lines.append(_row([results.model_name(result), str(result.setting), result.variant, *cells]))
    for row in results.published:
        cells = [f"{100 * row.figures[name]:.2f}" if name in row.figures else "–" for name in PAPER]
        lines.append(_row([results.published_name(row), str(row.setting), "plain", *cells]))
    if len(results.models) > 1:
        lines += ["", _cell(difference_rule(results)), *head]
        for result, cells in difference_cells(results, list(PAPER)):
            lines.append(_row([results.model_name(result), str(result.setting), result.variant, *cells]))
    if known := results.verified():
        names = ["model", "setting", "variant", *verification_results.COLUMNS.values()]
        names += verification_results.THRESHOLDS.values()
        lines += ["", f"**{verification_results.TITLE}**", "", _row(names), "|" + " --- |" * len(names)]
        for result in known:
            words = [results.model_name(result), str(result.setting), result.variant]
            lines.append(_row([*words, *verification_cells(result.verification, result.deviation)]))
    if results.correspondences:
        names = ["model", "stage", "prediction", *COLUMNS.values()]
        lines += ["", f"**{_cell(correspondence_results.title(results.correspondences))}**", ""]
        lines += [_row(names), "|" + " --- |" * len(names)]
        for line in table_rows(results.correspondences):
            lines.append(_row([line.model, line.stage, PREDICTIONS[line.prediction], *row_cells(line)]))
    lines += [line for note in results.notes() for line in ("", _cell(note))]
    return "\n".join(lines) + "\n"


def difference_rule(results: EvaluationResults) -> str:
    """Return the caption of a table of differences."""
    first = results.models[0][0]
    caption = f"Difference from {first.model.name}, in percentage points: mean ± standard deviation over the"
    if not first.seeds:
        return f"{caption} {first.repetition}s; * marks means that are larger than the standard deviation"
    return (
        f"{caption} seeds that both models have, the 95 % interval of the mean difference (Student's t), and how many of the "
        "seeds agree with its sign"
    )


def difference_cells(
    results: EvaluationResults, names: Sequence[str], joint: str = " ± "
) -> list[tuple[Result, list[str]]]:
    """Return each result of the models after the first, with its table cells: the differences from the first model.

    ``names`` are the metrics of the cells. ``joint`` stands between a mean and its standard deviation.
    """
    return [(each.other, [_difference_cell(each, name, joint) for name in names]) for each in results.differences()]


def _difference_cell(difference: Difference, name: str, joint: str) -> str:
    mean, spread, beyond = difference.mean(), difference.spread(), difference.beyond_spread()
    cell = f"{100 * mean[name]:+.2f}"
    if not (spread and beyond):
        return cell
    deviation = f"{joint}{100 * spread[name]:.2f}"
    half = difference.half_interval()
    if not half:
        return f"{cell}{'*' if beyond[name] else ''}{deviation}"
    low, high = (100 * (mean[name] + sign * half[name]) for sign in (-1, 1))
    gap = "\n" if "\n" in joint else " "
    seeds = len(difference.first.seeds)
    return f"{cell}{deviation}{gap}[{low:+.1f}, {high:+.1f}]{gap}{difference.agreeing()[name]}/{seeds}"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _cell(text: str) -> str:
    """Return text on one line, with the marks of Markdown escaped."""
    for mark in "\\|*_`<>":
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())
