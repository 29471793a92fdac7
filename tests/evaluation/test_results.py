"""Results: JSON, CSV, Markdown, differences between models, published figures."""

import csv
import io
import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lba_cli.datasets import DATASETS, Setting, get_dataset
from lba_cli.evaluation.differences import Difference
from lba_cli.evaluation.joined_results import over_seeds, over_trials
from lba_cli.evaluation.ranking import Metrics
from lba_cli.evaluation.result import FIGURES, Result, ScoredModel
from lba_cli.evaluation.result_tables import csv_text, difference_cells, markdown_text
from lba_cli.evaluation.results import EvaluationResults, trial_words

SYSU = Setting("all-search", "single", "community")
SYSU_PUBLISHED = get_dataset("sysu").published
README = Path(__file__).parent.parent.parent / "README.md"


def result(*rank1, model="a.pt", **changes):
    """Return a result whose trials have these rank-1 rates, from which the other figures follow."""
    trials = tuple(Metrics(np.linspace(rate, 1, 20), rate / 2, rate / 4, 90) for rate in rank1)
    scored_model = model if isinstance(model, ScoredModel) else ScoredModel(model, "SYSU-MM01")
    return replace(Result("SYSU-MM01", SYSU, trials, 100, 30, model=scored_model), **changes)


def test_json_has_what_other_programs_rely_on():
    content = json.loads(EvaluationResults(((result(0.5, 0.7),),)).as_json(checkpoint="a.pt"))
    (entry,) = content["results"]
    assert entry["mean"]["rank1"] == pytest.approx(0.6)
    assert entry["std"]["rank1"] == pytest.approx(0.1)
    assert [trial["mAP"] for trial in entry["trials"]] == [0.25, 0.35]
    assert (entry["num_query"], entry["num_query_counted"], entry["num_gallery"]) == (100, 90, 30)
    assert (entry["variant"], entry["direction"], entry["trained_on"]) == ("plain", "infrared-to-visible", "SYSU-MM01")
    assert "comparison" not in content
    assert "published" not in content


def test_titles_name_training_data_test_data_and_trials():
    assert EvaluationResults(((result(0.5, 0.6),),)).title() == "SYSU-MM01, community protocol, 2 draws, in percent"
    crossed = result(0.5, dataset="LLCM", benchmark="llcm")
    assert EvaluationResults(((crossed,),)).title().startswith("trained on SYSU-MM01, scored on LLCM, community")
    own = replace(crossed, dataset="my people", benchmark="folder")
    assert (
        EvaluationResults(((own,),)).title().startswith("trained on SYSU-MM01, scored on my people (folder), community")
    )
    split = result(0.5, dataset="RegDB", benchmark="regdb", model=ScoredModel("a", "RegDB"), trial_numbers=(3,))
    assert EvaluationResults(((split,),)).title() == "RegDB, trial 3, community protocol, in percent"
    ten = over_trials([[replace(split, trial_numbers=(number,))] for number in range(1, 11)])
    assert EvaluationResults((ten,)).title() == "RegDB, trials 1–10, community protocol, in percent"
    assert "trained on" not in EvaluationResults(((result(0.5, model=ScoredModel("x.npz")),),)).title()


def test_models_of_several_trials_make_one_result():
    each = [
        [result(rate, trial_numbers=(n,)), result(rate / 2, trial_numbers=(n,))] for n, rate in ((1, 0.5), (2, 0.9))
    ]
    first, second = over_trials(each)
    assert first.trial_numbers == second.trial_numbers == (1, 2)
    assert [trial["rank1"] for trial in first.figures()] == [0.5, 0.9]
    assert second.mean()["rank1"] == pytest.approx(0.35)
    crossed = [[result(0.5, dataset="RegDB", model=ScoredModel("run", name))] for name in ("RegDB", "RegDB (trial 1)")]
    assert over_trials(crossed)[0].model.trained_on == "RegDB (trial 1)"
    epochs = [[result(0.5, model=ScoredModel("run", "RegDB", epoch))] for epoch in (3, 3, 4)]
    assert over_trials(epochs[:2])[0].model.epoch == 3
    assert over_trials(epochs)[0].model.epoch is None


def test_trials_in_words():
    words = [trial_words(trials) for trials in ((), (3,), range(1, 11), (2, 3, 4, 6), (1, 3))]
    assert words == ["", "trial 3", "trials 1–10", "trials 2–4, 6", "trials 1, 3"]


def test_rows_name_the_training_data_if_models_differ_in_them():
    models = [result(0.5, model=ScoredModel(model, name)) for model, name in (("a", "LLCM"), ("b", "RegDB"))]
    results = EvaluationResults(tuple((model,) for model in models))
    assert results.title().startswith("scored on SYSU-MM01, community")
    assert [results.model_name(model) for model in models] == ["a (trained on LLCM)", "b (trained on RegDB)"]
    assert "| a (trained on LLCM) |" in markdown_text(results)
    alike = EvaluationResults(((models[0],), (models[0],)))
    assert alike.title().startswith("trained on LLCM, scored on SYSU-MM01")
    assert alike.model_name(models[0]) == "a"


def test_folders_of_ones_own_are_named_with_their_place():
    own = result(0.5, dataset="own", benchmark="folder", model=ScoredModel("a", "own"), root="data/own")
    assert EvaluationResults(((own,),)).title().startswith("own at data/own, community")
    elsewhere = replace(own, model=ScoredModel("a", "own at other/own"))
    assert (
        EvaluationResults(((elsewhere,),))
        .title()
        .startswith("trained on own at other/own, scored on own (folder) at data/own,")
    )
    assert json.loads(EvaluationResults(((own,),)).as_json())["results"][0]["root"] == "data/own"


def test_differences_are_taken_trial_by_trial():
    """Both models vary by 10 points over the trials, the difference only by half a point."""
    first, other = result(0.4, 0.6), result(0.42, 0.63, model="b.pt")
    difference = Difference(first, other)
    assert difference.mean()["rank1"] == pytest.approx(0.025)
    assert difference.spread()["rank1"] == pytest.approx(0.005)
    assert difference.beyond_spread()["rank1"] is True
    noisy = Difference(first, result(0.5, 0.5))
    assert noisy.mean()["rank1"] == pytest.approx(0)
    assert noisy.beyond_spread()["rank1"] is False
    single = Difference(result(0.4), result(0.6))
    assert single.spread() is None
    assert single.beyond_spread() is None


def test_models_side_by_side():
    results = EvaluationResults(
        ((result(0.4, 0.6),), (result(0.42, 0.63, model="b.pt"),), (result(0.5, 0.5, model="c.pt"),))
    )
    content = json.loads(results.as_json())
    assert [r["checkpoint"] for r in content["results"]] == ["a.pt", "b.pt", "c.pt"]
    assert [(d["checkpoint"], d["compared_with"]) for d in content["comparison"]] == [
        ("b.pt", "a.pt"),
        ("c.pt", "a.pt"),
    ]
    assert content["comparison"][0]["beyond_spread"]["rank1"] is True
    (_, b), (_, c) = difference_cells(results, ["rank1"])
    assert (b, c) == (["+2.50* ± 0.50"], ["+0.00 ± 10.00"])
    text = markdown_text(results)
    assert "Difference from a.pt, in percentage points" in text
    assert r"| b.pt | all-search, single-shot | plain | +2.50\* ± 0.50 |" in text


def seeds(first, *rates, model="a", **changes):
    """Return the joined result of runs with the seeds ``first``, ``first + 1``, …; ``rates`` are the rank-1 rates of their draws."""
    (joined,) = over_seeds(
        [[result(*draws, model=model, **changes)] for draws in rates], range(first, first + len(rates))
    )
    return joined


def test_the_spread_over_seeds_is_that_of_the_means_over_draws():
    joined = seeds(0, (0.2, 0.6), (0.5, 0.5), (0.4, 0.8))
    assert (joined.seeds, joined.draws, joined.repetition) == ((0, 1, 2), 2, "seed")
    assert [each["rank1"] for each in joined.figures()] == pytest.approx([0.4, 0.5, 0.6])
    assert joined.mean()["rank1"] == pytest.approx(0.5)
    assert joined.spread()["rank1"] == pytest.approx(0.1), "with N − 1 in the denominator"
    assert seeds(0, (0.2, 0.6)).spread()["rank1"] == 0
    results = EvaluationResults(((joined,),))
    assert results.title().endswith("community protocol, 3 seeds (each the mean of 2 draws), in percent")
    (entry,) = json.loads(results.as_json())["results"]
    assert (entry["seeds"], entry["std_over"], len(entry["trials"])) == ([0, 1, 2], "seeds", 3)
    assert json.loads(EvaluationResults(((result(0.5, 0.7),),)).as_json())["results"][0]["std_over"] == "draws"


def test_differences_over_seeds_have_an_interval():
    first = seeds(0, (0.2,), (0.3,), (0.4,))
    other = seeds(1, (0.4,), (0.43,), (0.9,), model="b")  # seeds 1 and 2 are common: +0.10 and +0.03
    results = EvaluationResults(((first,), (other,)))
    (difference,) = results.differences()
    assert difference.first.seeds == difference.other.seeds == (1, 2)
    mean, spread = 0.065, 0.07 / math.sqrt(2)
    assert difference.mean()["rank1"] == pytest.approx(mean)
    assert difference.spread()["rank1"] == pytest.approx(spread)
    half = 12.7062 * spread / math.sqrt(2)  # Student's t for 1 degree of freedom
    assert difference.half_interval()["rank1"] == pytest.approx(half, rel=1e-5)
    entry = json.loads(results.as_json())["comparison"][0]
    assert entry["interval_95"]["rank1"] == pytest.approx([mean - half, mean + half], rel=1e-5)
    assert (entry["seeds"], entry["agreeing"]["rank1"], entry["std_over"]) == ([1, 2], 2, "seeds")
    ((_, (cell,)),) = difference_cells(results, ["rank1"])
    assert cell == "+6.50 ± 4.95 [-38.0, +51.0] 2/2"
    assert "seeds that both models have" in markdown_text(results)
    assert "2 seeds" not in results.title()
    assert "3 seeds" in results.title()


def test_seeds_of_opposite_sign_do_not_agree():
    first, other = seeds(0, (0.2,), (0.3,), (0.4,)), seeds(0, (0.3,), (0.25,), (0.6,), model="b")
    assert Difference(first, other).agreeing()["rank1"] == 2
    assert Difference(first, first).agreeing()["rank1"] == 0


def test_draws_of_one_model_have_no_interval():
    difference = Difference(result(0.4, 0.6), result(0.42, 0.63))
    assert difference.half_interval() is None
    assert difference.as_json()["interval_95"] is None
    assert Difference(seeds(0, (0.4,)), seeds(0, (0.5,))).half_interval() is None


def test_csv():
    first = result(0.5, 0.7, model="runs/a/checkpoints/last.pt", note="n")
    results = EvaluationResults(((first, result(0.6, 0.8, model="b.pt", variant="flip")),), SYSU_PUBLISHED)
    rows = list(csv.DictReader(io.StringIO(csv_text(results))))
    assert [(row["kind"], row["variant"]) for row in rows[:2]] == [("measured", "plain"), ("measured", "flip")]
    assert float(rows[0]["rank1"]) == pytest.approx(0.6)
    assert float(rows[0]["rank1_std"]) == pytest.approx(0.1)
    assert {f"{name}{end}" for name in FIGURES for end in ("", "_std")} <= rows[0].keys()
    assert [(row["model"], row["benchmark"], row["note"]) for row in rows[:2]] == [
        ("runs/a", "sysu", "n"),
        ("b.pt", "sysu", ""),
    ]
    assert {row["benchmark"] for row in rows[2:]} == {"sysu"}
    assert [(row["kind"], row["model"], row["mAP"]) for row in rows[2:]] == [
        ("published", "baseline, retrained", "0.4954"),
        ("published", "full, retrained", "0.5414"),
        ("published", "full, released weights", "0.5522"),
        ("published", "AGW", "0.4765"),
        ("published", "CAJ, with mirror images", "0.6689"),
    ]


def test_markdown_is_a_table_as_in_papers():
    results = EvaluationResults(((result(0.5, 0.7, model="a|b_c.pt"),),), SYSU_PUBLISHED)
    lines = markdown_text(results).splitlines()
    assert lines[0] == "**SYSU-MM01, community protocol, 2 draws, in percent**"
    assert lines[2] == "| model | setting | variant | rank-1 | rank-10 | rank-20 | mAP | mINP |"
    assert lines[4].startswith(r"| a\|b\_c.pt | all-search, single-shot | plain | 60.00 ± 10.00 | ")
    assert lines[5].startswith(
        "| published: baseline, retrained (SYSU-MM01) | all-search, single-shot | plain | 50.43 |"
    )
    cells = [len(re.findall(r"(?<!\\)\|", line)) for line in lines[2:]]
    assert set(cells) == {9}


def test_notes_name_distractors():
    results = EvaluationResults(((result(0.5, note="look out", num_distractors=3),),))
    assert results.notes() == ["look out", "gallery identities without a query (distractors) in all-search: 3"]
    assert "look out" in markdown_text(results)


def test_published_figures_are_those_of_the_readme():
    text = README.read_text()
    for row in SYSU_PUBLISHED:
        assert f"| {row.label} | {100 * row.figures['mAP']:.2f} | {100 * row.figures['rank1']:.2f} |" in text


def test_published_figures_belong_to_settings_that_the_data_set_has():
    assert [row.figures["mINP"] for row in get_dataset("regdb").published] == [0.5019, 0.6533]
    (llcm,) = get_dataset("llcm").published
    assert llcm.figures == {"rank1": 0.4276, "mAP": 0.5095}
    for spec in DATASETS.values():
        for row in spec.published:
            assert row.setting.mode in spec.protocols[row.setting.protocol]
            assert row.setting.shots in spec.shots
