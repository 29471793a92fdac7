"""Who is query and who is gallery in each trial: one file a data set."""

from __future__ import annotations

from lba_cli.evaluation.protocols.benchmark import DIRECTIONS, Benchmark, ScoredSet, Setting, Trial, Trials
from lba_cli.evaluation.protocols.draws import SHOT_COUNT, TRIALS, cameras_known, community_gallery
from lba_cli.evaluation.protocols.folder import FOLDER
from lba_cli.evaluation.protocols.llcm import LLCM
from lba_cli.evaluation.protocols.regdb import REGDB
from lba_cli.evaluation.protocols.sysu import GALLERY_CAMERAS, SYSU, load_permutations, official_gallery
from lba_cli.vocabulary import Dataset

BENCHMARKS: dict[Dataset, Benchmark] = {"sysu": SYSU, "regdb": REGDB, "llcm": LLCM, "folder": FOLDER}

__all__ = [
    "BENCHMARKS",
    "DIRECTIONS",
    "GALLERY_CAMERAS",
    "SHOT_COUNT",
    "TRIALS",
    "Benchmark",
    "ScoredSet",
    "Setting",
    "Trial",
    "Trials",
    "cameras_known",
    "community_gallery",
    "load_permutations",
    "official_gallery",
]
