"""LLCM: all images of one modality query one image of each identity and camera of the other, drawn anew in ten trials."""

from __future__ import annotations

from lba_cli.evaluation.protocols.benchmark import DIRECTIONS, Benchmark, ScoredSet, Setting, Trial
from lba_cli.evaluation.protocols.draws import TRIALS, directories_of, drawn, whole
from lba_cli.vocabulary import Mode

MODES: tuple[Mode, ...] = ("infrared-to-visible", "visible-to-infrared")
TRANSPOSED = (
    "LLCM's release scores visible-to-infrared by transposing its matrix of scores: the sampled infrared images query "
    "the whole visible set. The proper direction is --protocol community"
)


def _draw(source: ScoredSet, setting: Setting) -> tuple[Trial, ...]:
    queried, searched = (directories_of(source.samples, modality) for modality in DIRECTIONS[setting.mode])
    if setting.protocol == "released":
        return tuple(Trial(t, drawn(searched, t, setting.shots), whole(queried)) for t in range(TRIALS))
    queries = whole(queried)
    return tuple(Trial(t, queries, drawn(searched, t, setting.shots)) for t in range(TRIALS))


LLCM = Benchmark(
    name="LLCM",
    modes={"community": MODES, "released": ("visible-to-infrared",)},
    usual_modes=MODES,
    shots=("single",),
    usual_shots=lambda _: "single",
    rules="llcm",
    draw=_draw,
    needs_cameras=True,
    notes={"released": TRANSPOSED},
)
