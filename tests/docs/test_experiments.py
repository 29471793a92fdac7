"""The tables of experiments in docs/methods.md are those that their kept figures give."""

import json
import re
import statistics

import ablations
import alignment_experiment
import alignment_table
import pytest
from alignment_conditions import CONDITIONS
from docs.pages import ROOT

from lba_cli.methods import METHODS

KEPT = json.loads(ablations.KEPT.read_text())
ALIGNMENT = json.loads(alignment_experiment.KEPT.read_text())
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
    """Computed here once more, for one row and its difference from the baseline."""
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


def test_the_tables_of_the_alignment_experiment_are_made_from_the_kept_figures():
    for lines in (alignment_table.table, alignment_table.chance, alignment_table.curves):
        assert "\n".join(lines(ALIGNMENT)) in PAGE


def test_every_run_of_the_alignment_experiment_has_its_seed_options_and_curve():
    assert list(ALIGNMENT["conditions"]) == list(CONDITIONS)
    for name, condition in CONDITIONS.items():
        kept = ALIGNMENT["conditions"][name]
        assert {**condition.described(), "size": list(condition.size)}.items() <= kept.items()
        for method in alignment_table.METHODS:
            runs, height = kept[method], f"data.height={condition.size[0]}"
            assert runs["seeds"] == list(condition.seeds)
            assert len(runs["retrieval"]) == len(runs["correspondences"]) == len(condition.seeds)
            assert list(runs["curves"]) == [str(seed) for seed in condition.seeds]
            assert {len(curve) for curve in runs["curves"].values()} == {condition.epochs}
            assert runs["options"][:2] == ["--method", method]
            assert {height, f"train.steps_per_epoch={ALIGNMENT['steps_per_epoch']}"} < set(runs["options"])
            assert method == "baseline" or set(condition.full) < set(runs["options"])


def test_a_difference_of_the_alignment_experiment_is_the_mean_over_its_seeds():
    """Computed here once more, for the mAP of each condition."""
    for name, kept in ALIGNMENT["conditions"].items():
        found = [[100 * seed["mAP"] for seed in kept[method]["retrieval"]] for method in alignment_table.METHODS]
        differences = [full - baseline for baseline, full in zip(*found, strict=True)]
        (line,) = (line for line in PAGE.splitlines() if line.startswith(f"| {name} | difference |"))
        assert line.split("|")[4].split()[0] == f"{statistics.fmean(differences):+.1f}"
