"""The options of ``lba search``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lba_cli.vocabulary import Engine

IndexFolder = Annotated[Path, typer.Argument(metavar="INDEX", help="The folder of the index.")]
SearchEngine = Annotated[
    Engine,
    typer.Option(
        help="exact compares each query with all gallery images. faiss compares it with only some of them, which is faster for "
        "millions of images (needs the extra faiss)."
    ),
]
IndexCheckpoint = Annotated[
    Path | None,
    typer.Option(
        "--checkpoint",
        metavar="FILE",
        help="The checkpoint that built the index. Default: the file recorded in the index.",
    ),
]


ThresholdsFile = Annotated[
    Path | None,
    typer.Option(
        "--thresholds",
        metavar="FILE",
        help="The scores for rates of false accepts (--far), measured with lba evaluate --verification --json FILE.",
    ),
]
MinScore = Annotated[
    float | None, typer.Option(min=-1, max=1, metavar="S", help="List only gallery images that score S or more.")
]
Far = Annotated[
    float | None,
    typer.Option(
        metavar="RATE",
        help="List only gallery images that score high enough that only this share of pairs of different people would be accepted, "
        "such as 0.001. The score is taken from --thresholds, or from the index.",
    ),
]
Together = Annotated[
    bool,
    typer.Option("--together", help="All query images show one person: search with the mean of their embeddings."),
]
Tracks = Annotated[
    bool, typer.Option("--tracks", help="Rank folders of gallery images by the mean of their images' embeddings.")
]
RanksFile = Annotated[Path | None, typer.Option(metavar="FILE", help="Also write the ranked lists as JSON.")]
RanksPicture = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Also draw the first ranked lists: .png, .svg or .pdf.")
]
