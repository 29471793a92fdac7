"""Own folders. Where the camera of every test image is known: one image (single-shot) or ten (multi-shot) of each identity
and camera of the other modality, drawn as papers draw SYSU-MM01's, in ten trials. Otherwise: the whole other modality, once.
Nothing is ignored: a visible and an infrared camera of the same number are different cameras. CMC counts images.
Identities that have one modality only are distractors in galleries; queries without a match are not counted.
"""

from __future__ import annotations

from lba_cli.errors import DataError
from lba_cli.evaluation.protocols.benchmark import DIRECTIONS, Benchmark, ScoredSet, Setting, Trial
from lba_cli.evaluation.protocols.draws import TRIALS, cameras_known, directories_of, drawn, whole
from lba_cli.vocabulary import Mode

MODES: tuple[Mode, ...] = ("infrared-to-visible", "visible-to-infrared")


def _draw(source: ScoredSet, setting: Setting) -> tuple[Trial, ...]:
    queried, searched = (directories_of(source.samples, modality) for modality in DIRECTIONS[setting.mode])
    queries = whole(queried)
    if setting.shots == "whole":
        return (Trial(0, queries, whole(searched)),)
    if not cameras_known(source.samples):
        raise DataError(
            f"{source.name}: {setting.shots}-shot galleries are drawn from each camera, and not every test image names "
            "its own (…_c3….jpg): use --shots whole"
        )
    return tuple(Trial(t, queries, drawn(searched, t, setting.shots)) for t in range(TRIALS))


FOLDER = Benchmark(
    name="a folder",
    modes={"community": MODES},
    usual_modes=MODES,
    shots=("single", "multi", "whole"),
    usual_shots=lambda samples: "single" if cameras_known(samples) else "whole",
    rules="regdb",
    draw=_draw,
)
