"""RegDB: every test image of one modality against every one of the other; the ten trials are ten splits, each with a
model of its own, so an evaluation of one model has one trial."""

from __future__ import annotations

from lba_cli.evaluation.protocols.benchmark import DIRECTIONS, Benchmark, ScoredSet, Setting, Trial
from lba_cli.evaluation.protocols.draws import directories_of, whole
from lba_cli.vocabulary import Mode

MODES: tuple[Mode, ...] = ("visible-to-infrared", "infrared-to-visible")


def _draw(source: ScoredSet, setting: Setting) -> tuple[Trial, ...]:
    queries, gallery = (whole(directories_of(source.samples, modality)) for modality in DIRECTIONS[setting.mode])
    return (Trial(source.split, queries, gallery),)


REGDB = Benchmark(
    name="RegDB",
    modes={"community": MODES},
    usual_modes=MODES,
    shots=("whole",),
    usual_shots=lambda _: "whole",
    rules="regdb",
    draw=_draw,
)
