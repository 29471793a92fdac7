"""Progress in lines and bars, and result lines: whatever a run reports is shown, and nothing is wrapped or interpreted."""

import io

from rich.console import Console

from lba_cli.cli import console
from lba_cli.methods.table import METHODS


def test_names_of_several_words_are_abbreviated():
    names = ["identity", "hard_triplet", "identity_consistency_stage3", "identity_consistency_stage4", "learning_rate"]
    assert list(console.short_labels(names).values()) == ["identity", "ht", "ics3", "ics4", "lr"]


def test_every_loss_term_has_a_label_of_its_own():
    terms = dict.fromkeys(term.name for method in METHODS.values() for term in method.terms)
    names = [*terms, "heavy_triplet"]
    labels = console.short_labels(names)
    assert list(labels) == names
    assert len(set(labels.values())) == len(names)
    assert labels["hard_triplet"] == "hard_triplet"
    assert labels["heavy_triplet"] == "heavy_triplet"


def test_losses_and_images_per_second_are_one_line():
    facts = {"identity": 5.984, "dense_triplet": 0.25, "total": 6.234, "images_a_step": 64}
    assert console.describe(facts, rate=2.0) == "identity 5.98  dt 0.25  total 6.23  128 images/s"


def test_a_result_line_is_neither_wrapped_nor_interpreted(monkeypatch):
    output = io.StringIO()
    monkeypatch.setattr(console, "get_console", lambda: Console(file=output, width=20, **console.LITERAL))
    console.print_line("[bold]:smile: a path of many words/that is longer than\x1b the terminal")
    assert output.getvalue() == "[bold]:smile: a path of many words/that is longer than� the terminal\n"


def test_lines_of_a_task_have_the_share_done_and_the_time_left(monkeypatch):
    output, times = io.StringIO(), iter([0.0, 5.0, 20.0])
    monkeypatch.setattr(console.time, "monotonic", lambda: next(times))
    listener = console.Lines(Console(file=output, width=200))
    with listener.task("epoch 3", total=100, unit="steps") as progress:
        progress.advance(5)
        progress.advance(5, total=1.5)
    assert output.getvalue() == "epoch 3: 10/100 steps, 3:00 left total 1.5\n"
