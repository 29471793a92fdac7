"""The section of docs/methods.md on whether alignment pays says what the kept figures give."""

import json
import re
import statistics

import pytest
import yaml
from alignment_conditions import CONDITIONS, shares_baseline
from alignment_experiment import PUBLISHED, RECIPE, WARM_UP_RECIPE, Workshop, jobs
from alignment_table import tables
from docs.pages import ROOT

KEPT = json.loads(PUBLISHED.read_text())
PAGE = (ROOT / "docs" / "methods.md").read_text()
SECTION = PAGE.split("## Does alignment pay?")[1].split("\n## ")[0]
DIFFERENCE = re.compile(r"[+-]\d+\.\d\s\([+-]\d+\.\d … [+-]\d+\.\d\)")
STUDENT_T = {3: 4.302653, 5: 2.776445}  # of the seeds' degrees of freedom, for 95 %


def runs(name, method):
    return KEPT["conditions"][name][method]


def columns(stage):
    """Return the names of the figures of a row, as they are found in the JSON file, without those of retrieval."""
    matches = [
        ("strongest", "pck_0.10"),
        ("unplaced", "pck_0.10"),
        ("strongest", "same_place"),
        ("strongest", "on_person"),
    ]
    return [(stage, *names) for names in matches] + [(stage, "same_versus_other")]


def look_up(found, path):
    for name in path:
        found = found[name]
    return 100 * found


def paired(name, kind, path):
    """Return a figure's differences between both methods, in percent, with one for each seed."""
    full = runs(name, "full")
    baseline = runs(shares_baseline(name) or name, "baseline")
    return [
        look_up(full[kind][full["seeds"].index(seed)], path)
        - look_up(baseline[kind][baseline["seeds"].index(seed)], path)
        for seed in full["seeds"]
    ]


def cell(values):
    middle = statistics.fmean(values)
    half = STUDENT_T[len(values)] * statistics.stdev(values) / len(values) ** 0.5
    return f"{middle:+.1f} ({middle - half:+.1f} … {middle + half:+.1f})"


def row(start):
    (line,) = (line for line in SECTION.splitlines() if line.startswith(start))
    return [each.strip() for each in line.strip("|").split("|")]


def test_the_tables_are_made_from_the_kept_figures():
    for lines in tables(KEPT):
        assert "\n\n" + "\n".join(lines) + "\n\n" in SECTION


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_row_of_differences_is_the_mean_over_the_seeds(name):
    """The test computes the differences from the JSON file itself, without the code that makes the tables."""
    wanted = [cell(paired(name, "retrieval", [figure])) for figure in ("mAP", "rank1")]
    wanted += [cell(paired(name, "correspondences", path)) for path in columns("layer3")]
    assert row(f"| {name} | difference |")[3:] == wanted
    of_layer4 = [cell(paired(name, "correspondences", path)) for path in columns("layer4")]
    assert row(f"| {name} | {len(CONDITIONS[name].seeds)} |")[2:] == of_layer4


def test_all_conditions_are_published():
    assert list(KEPT["conditions"]) == list(CONDITIONS)
    published = {
        (name, method) for name, kept in KEPT["conditions"].items() for method in kept.keys() & {"baseline", "full"}
    }
    assert published == set(jobs(list(CONDITIONS)))
    for file, kept in ((RECIPE, KEPT["recipe"]), (WARM_UP_RECIPE, KEPT["warm_up_recipe"])):
        assert kept == yaml.safe_load(file.read_text())


@pytest.mark.parametrize(("name", "method"), jobs(list(CONDITIONS)))
def test_every_run_has_its_options_seed_figures_and_curve(name, method):
    condition, kept = CONDITIONS[name], KEPT["conditions"][name]
    assert {
        **condition.described(),
        "size": list(condition.size),
        "baseline_of": shares_baseline(name),
    }.items() <= kept.items()
    found = kept[method]
    assert found["options"] == condition.options(method, Workshop.steps)
    assert found["seeds"] == list(condition.seeds)
    assert len({json.dumps(seed) for seed in found["correspondences"]}) == len(condition.seeds)
    assert all(seed[stage]["stage"] == stage for seed in found["correspondences"] for stage in ("layer3", "layer4"))
    for seed, figures in zip(condition.seeds, found["retrieval"], strict=True):
        curve = found["curves"][str(seed)]
        assert [point["epoch"] for point in curve] == list(range(1, condition.epochs + 1))
        assert curve[-1]["mAP"] == pytest.approx(figures["mAP"], abs=1e-9)


def test_every_difference_in_the_text_is_one_of_the_tables():
    prose = " ".join(line.strip() for line in SECTION.splitlines() if not line.startswith("|"))
    in_tables = {found for line in SECTION.splitlines() if line.startswith("|") for found in DIFFERENCE.findall(line)}
    quoted = set(DIFFERENCE.findall(prose))
    assert len(quoted) > 10
    assert quoted <= in_tables


def test_the_correlations_in_the_text_are_those_of_the_conditions():
    gains = [statistics.fmean(paired(name, "retrieval", ["mAP"])) for name in CONDITIONS]
    found = {}
    for kind in ("strongest", "unplaced"):
        matches = [
            statistics.fmean(paired(name, "correspondences", ["layer3", kind, "pck_0.10"])) for name in CONDITIONS
        ]
        found[kind] = statistics.correlation(gains, matches)
    assert f"(correlation {found['strongest']:.2f})" in SECTION
    assert f"({found['unplaced']:.2f})" in SECTION


def test_the_repetition_on_a_cpu_and_the_picture_are_quoted_rightly():
    kept = json.loads((ROOT / "docs" / "alignment_on_a_cpu.json").read_text())["conditions"]["young trunk"]
    for method in ("baseline", "full"):
        assert kept[method]["options"] == CONDITIONS["young trunk"].options(method, Workshop.steps)
        assert f"{look_up(kept[method]['retrieval'][0], ['mAP']):.1f}" == "27.0"
        assert all(look_up(seed, ["mAP"]) > 27.1 for seed in runs("young trunk", method)["retrieval"])
    baseline, full = (
        [look_up(kept[m]["correspondences"][0], path) for path in columns("layer3")] for m in ("baseline", "full")
    )
    text = " ".join(SECTION.split())
    assert "the mAP of both methods is 27.0, below each seed above" in text
    assert f"higher PCK at layer3, by {full[0] - baseline[0]:.1f} points" in text
    assert f"its PCK at layer3 is {full[0]:.1f}, {full[1]:.1f} once the place is removed, and {full[2]:.1f} %" in text
    own_place = look_up(kept["full"]["untrained"], ["layer3", "itself", "pck_0.10"])
    caption = " ".join((ROOT / "README.md").read_text().split("\n\nAt night")[0].split())
    assert f"{full[0]:.0f} % of the network's matches are right" in caption
    assert f"the same place in both images would be right for {own_place:.0f} %" in caption


def test_the_readme_quotes_the_longer_runs():
    (quoted,) = re.findall(
        r"had ([\d.]+) points more mAP than the baseline after 16 epochs", (ROOT / "README.md").read_text()
    )
    assert float(quoted) == round(statistics.fmean(paired("longer", "retrieval", ["mAP"])), 1)
