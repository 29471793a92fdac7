"""The correspondences of one or several models, as rows of tables and as values for JSON and CSV."""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from lba_cli.evaluation.correspondences import FIGURES, PREDICTIONS, StageCorrespondences
from lba_cli.evaluation.feature_maps import STAGES, Stage

COLUMNS = {
    "pck_0.05": "PCK 5%",
    "pck_0.10": "PCK 10%",
    "pck_0.20": "PCK 20%",
    "median_error": "median error",
    "on_person": "on person",
    "same_place": "same place",
    "same_versus_other": "same vs. other",
}
CHANCE = ("itself", "random", "best")  # the predictions that don't depend on the model


class CorrespondenceRow(NamedTuple):
    """A row of a table. ``mean`` and ``spread`` hold figures as fractions; a row lacks some of :data:`COLUMNS`."""

    model: str
    stage: Stage
    prediction: str
    mean: dict[str, float]
    spread: dict[str, float]


@dataclass(frozen=True)
class ModelCorrespondences:
    """The correspondences of a model.

    Attributes:
        model: the model's name.
        runs: the figures of each stage, for the model or for each run of a folder of seeds or trials.
        seeds: the seeds of the runs; empty if they don't differ in the seed.
    """

    model: str
    runs: tuple[dict[Stage, StageCorrespondences], ...]
    seeds: tuple[int, ...] = ()

    def rows(self, predictions: Sequence[str]) -> Iterator[CorrespondenceRow]:
        """Yield a row for each stage and prediction: means over the runs, and standard deviations if there are several."""
        for stage in STAGES:
            for prediction in predictions:
                runs = [_figures(run[stage], prediction) for run in self.runs]
                names = [name for name in COLUMNS if all(name in run for run in runs)]
                mean = {name: statistics.fmean(run[name] for run in runs) for name in names}
                several = len(runs) > 1
                spread = {name: statistics.stdev(run[name] for run in runs) for name in names} if several else {}
                yield CorrespondenceRow(self.model, stage, prediction, mean, spread)

    def as_json(self) -> dict[str, Any]:
        """Return all figures of every run as values that JSON can hold."""
        return {
            "checkpoint": self.model,
            "seeds": list(self.seeds) or None,
            "runs": [{stage: figures.as_json() for stage, figures in run.items()} for run in self.runs],
        }


def table_rows(models: Sequence[ModelCorrespondences]) -> list[CorrespondenceRow]:
    """Return the rows of a table: those of each model, and at the end the chance levels, those of the first model."""
    own = [name for name in PREDICTIONS if name not in CHANCE]
    rows = [row for model in models for row in model.rows(own)]
    chance = [row._replace(model="") for row in models[0].rows(CHANCE) if row.stage == STAGES[0]]
    return rows + chance


def title(models: Sequence[ModelCorrespondences]) -> str:
    """Return the title of a table."""
    first = models[0].runs[0][STAGES[0]]
    return (
        f"Correspondences of {first.counted} pairs of images, in percent; {first.with_truth:.0%} of the person's positions are seen in "
        "both images"
    )


def row_cells(row: CorrespondenceRow, joint: str = " ± ") -> list[str]:
    """Return the cells of :data:`COLUMNS` in percent, with the standard deviation after ``joint``; empty without a figure."""
    return [
        f"{100 * row.mean[name]:.1f}" + (f"{joint}{100 * row.spread[name]:.1f}" if name in row.spread else "")
        if name in row.mean
        else ""
        for name in COLUMNS
    ]


def _figures(stage: StageCorrespondences, prediction: str) -> dict[str, float]:
    figures = {name: value for name, value in stage.figures[prediction].items() if name in FIGURES}
    if prediction == "strongest":
        figures["same_versus_other"] = stage.same_versus_other
    return figures
