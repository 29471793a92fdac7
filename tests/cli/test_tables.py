"""Tables of results fit terminals of 78 characters or more: figures stay whole, and words break at hyphens."""

import io
import re
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from lba_cli.cli.console import LITERAL
from lba_cli.cli.console_tables import broken, report_tables
from lba_cli.datasets import DATASETS, Setting
from lba_cli.evaluation.correspondence_results import ModelCorrespondences
from lba_cli.evaluation.correspondences import FIGURES, PREDICTIONS, StageCorrespondences
from lba_cli.evaluation.feature_maps import STAGES
from lba_cli.evaluation.ranking import Metrics
from lba_cli.evaluation.result import Result, ScoredModel
from lba_cli.evaluation.results import EvaluationResults

MODES = ("infrared-to-visible", "visible-to-infrared")


def report(models=("runs/20261122-101010-baseline", "runs/full"), variants=("plain", "flip+neck+rerank(k1=5)")):
    draws = tuple(Metrics(np.linspace(rate, 1, 20), rate, rate, 1234) for rate in (0.103, 0.6))
    results = [
        tuple(
            Result(
                *("LLCM", Setting(mode, "single", "community"), draws, 7166, 351, "llcm", variant),
                model=ScoredModel(model, "LLCM"),
            )
            for mode in MODES
            for variant in variants
        )
        for model in models
    ]
    published = tuple(
        row for row in DATASETS["llcm"].published if row.setting == Setting(MODES[0], "single", "community")
    )
    assert published
    return EvaluationResults(tuple(results), published)


def shown(results, width):
    console = Console(width=width, file=io.StringIO(), color_system=None, **LITERAL)
    for table in report_tables(results, width):
        console.print(table)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [78, 80, 100, 120, 200])
@pytest.mark.parametrize("several", [False, True])
def test_figures_stay_whole_and_words_break_at_hyphens(several, width):
    text = shown(report() if several else EvaluationResults((report().models[0][:1],)), width)
    assert max(map(len, text.splitlines())) <= width
    assert "35.15" in text
    assert "±24.85" in text
    assert "…" not in text
    words = set(re.findall(r"[a-z]+(?=-)|(?<=-)[a-z]+", text))
    assert words <= {"infrared", "to", "visible", "single", "shot", "baseline", "trial", "wise"}, words


def correspondences_of(*names, runs=1):
    """Made-up figures, which are the same for every model, stage and run."""
    prediction = dict.fromkeys(FIGURES, 1.0)
    stages = {
        stage: StageCorrespondences(stage, dict.fromkeys(PREDICTIONS, prediction), 0.6, 0.5, 128, 128)
        for stage in STAGES
    }
    return tuple(ModelCorrespondences(name, (stages,) * runs, tuple(range(runs)) if runs > 1 else ()) for name in names)


@pytest.mark.parametrize("width", [78, 80, 100, 120, 200])
@pytest.mark.parametrize("runs", [1, 3])
@pytest.mark.parametrize("names", [["runs/full"], ["runs/20261122-101010-baseline/seeds", "runs/full", "untrained"]])
def test_figures_of_correspondences_stay_whole(names, runs, width):
    results = replace(
        EvaluationResults((report().models[0][:1],)), correspondences=correspondences_of(*names, runs=runs)
    )
    table = shown(results, width).split("Correspondences", 1)[1]
    assert max(map(len, table.splitlines())) <= width
    assert "…" not in table
    lines = [line.split() for line in table.splitlines() if "layer3" in line]
    assert len(lines) == 3 * len(names)
    assert all("100.0" in line for line in lines)
    assert sum("untrained" in line for line in table.splitlines()) == names.count("untrained")
    assert ("median" in table) == (width >= 100)


def test_a_narrow_table_leaves_columns_out():
    columns = {width: shown(report(), width).splitlines()[1:6] for width in (80, 300)}
    wide, narrow = ("\n".join(columns[width]) for width in (300, 80))
    for name in ("rank20", "rank5", "query"):
        assert name in wide
        assert name not in narrow
    for name in ("rank1", "rank10", "mAP", "mINP"):
        assert name in narrow


def test_long_names_break_after_hyphens_signs_and_blanks():
    assert broken("infrared-to-visible", 13) == "infrared-to-\nvisible"
    assert broken("flip+neck+rerank(k1=5)", 13) == "flip+neck+\nrerank(k1=5)"
    assert broken("whole gallery", 13) == "whole gallery"
    assert broken("whole gallery", 8) == "whole\ngallery"
