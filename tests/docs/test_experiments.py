"""The tables of experiments in docs/methods.md are those that their kept figures give."""

import json
import re
import statistics

import ablations
import pytest
from docs.pages import ROOT

from lba_cli.methods import METHODS

KEPT = json.loads(ablations.KEPT.read_text())
PAGE = (ROOT / "docs" / "methods.md").read_text()


def test_the_ablation_table_is_made_from_the_kept_figures():
    assert "\n".join(ablations.table(KEPT)) in PAGE
    assert "\n".join(ablations.against_full(KEPT)) in PAGE


def test_every_row_was_trained_with_the_same_three_seeds_or_more():
    assert list(KEPT["rows"]) == list(ablations.ROWS)
    seeds = KEPT["rows"]["baseline"]["seeds"]
    assert len(seeds) >= 3
    for name, row in KEPT["rows"].items():
        method, assignments = ablations.ROWS[name]
        assert row["seeds"] == seeds
        assert len(row["figures"]) == len(seeds)
        assert row["options"] == ["--method", method, *ablations.settings(assignments)]
        assert method in METHODS


def test_a_row_of_the_table_is_the_mean_over_its_seeds():
    """The test computes one row, and its difference from the baseline, without the code that makes the table."""
    values = {name: [100 * seed["mAP"] for seed in KEPT["rows"][name]["figures"]] for name in ("baseline", "caj")}
    differences = [b - a for a, b in zip(values["baseline"], values["caj"], strict=True)]
    (line,) = (line for line in PAGE.splitlines() if line.startswith("| caj | "))
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[3] == f"{statistics.fmean(values['caj']):.1f} ± {statistics.stdev(values['caj']):.1f}"
    assert cells[5] == f"{statistics.fmean(differences):+.1f}"
    half = 4.302653 * statistics.stdev(differences) / 3**0.5  # Student's t for two degrees of freedom
    low, high = (float(each) for each in re.findall(r"[-+][\d.]+", cells[6]))
    assert (low, high) == pytest.approx(
        (statistics.fmean(differences) - half, statistics.fmean(differences) + half), abs=0.06
    )


def test_the_recipe_of_the_table_is_the_one_that_its_command_uses():
    for kept, words in ((KEPT["recipe"], ablations.RECIPE), (KEPT["warm-up"], ablations.WARM_UP)):
        assert kept == [str(word).removeprefix(f"{ROOT}/") for word in words]
