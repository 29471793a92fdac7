"""Tables of results fit terminals of any width: figures stay whole, and words break at hyphens."""

import io
import re

import numpy as np
import pytest
from rich.console import Console

from lba_cli.cli.console import LITERAL
from lba_cli.cli.console_tables import broken, report_tables
from lba_cli.datasets import DATASETS, Setting
from lba_cli.evaluation.ranking import Metrics
from lba_cli.evaluation.results import EvaluationResults, Result, ScoredModel

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
