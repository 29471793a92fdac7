"""The options of ``lba search``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lba_cli.vocabulary import Engine, VectorDtype

IndexFolder = Annotated[
    Path,
    typer.Argument(
        metavar="INDEX", help="The folder of the index; with --engine milvus, the gallery's name in Milvus."
    ),
]
NewIndex = Annotated[
    Path,
    typer.Option(metavar="INDEX", help="The folder to make; with --engine milvus, the gallery's name in Milvus."),
]
BuildEngine = Annotated[
    Engine,
    typer.Option(
        help="exact: a folder. faiss: also build the FAISS index for queries with --engine faiss (needs the extra faiss). milvus: "
        "a gallery in Milvus (needs the extra milvus)."
    ),
]
SearchEngine = Annotated[
    Engine,
    typer.Option(
        help="exact compares each query with all gallery images. faiss compares it with only some of them, which is faster for "
        "millions of images (needs the extra faiss). milvus: the gallery is in Milvus (needs the extra milvus)."
    ),
]
IndexEngine = Annotated[Engine, typer.Option(help="milvus: the gallery is in Milvus; exact and faiss: it is a folder.")]
Uri = Annotated[
    str | None,
    typer.Option(
        metavar="URI",
        help="With --engine milvus: a server's address, such as http://localhost:19530, or a local folder whose name ends in .db (Milvus Lite). "
        "Default: milvus.db. A server's token is read from $MILVUS_TOKEN.",
    ),
]
StoredDtype = Annotated[
    VectorDtype,
    typer.Option(
        "--dtype",
        help="The numbers that a folder keeps. float16 halves the file and the bytes that a search reads; scores change by less than 0.001.",
    ),
]
Approximate = Annotated[
    bool,
    typer.Option("--approximate", help="With --engine milvus: make an approximate index (HNSW), for many millions."),
]
LabelsFile = Annotated[
    Path | None,
    typer.Option(
        "--labels",
        metavar="FILE",
        help="With --engine milvus: a CSV file of your own images, whose identities and cameras are kept with the images.",
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
        help="The scores for rates of false accepts (--far), measured with lba evaluate --verification --json FILE, or of an exported "
        "file with lba export --data DIR --json FILE.",
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
