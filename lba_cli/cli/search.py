"""``lba search``: build an index of gallery images and search it with query images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from lba_cli.cli.options import (
    Best,
    CheckpointFile,
    CommonOptions,
    Force,
    ImageNames,
    ModelFile,
    SkipBroken,
    command,
    group,
)
from lba_cli.cli.search_options import (
    Far,
    IndexCheckpoint,
    IndexFolder,
    MinScore,
    RanksFile,
    RanksPicture,
    SearchEngine,
    ThresholdsFile,
    Together,
    Tracks,
)
from lba_cli.errors import LbaError
from lba_cli.outputs import require_new_files
from lba_cli.vocabulary import Engine, Modality, plural

if TYPE_CHECKING:
    from lba_cli.reporting import Listener
    from lba_cli.search.embed_paths import EmbeddingRequest
    from lba_cli.search.index import Index, Manifest

app = group()


class _Model(NamedTuple):
    """The values of ``--checkpoint``, ``--model`` and ``--best``."""

    checkpoint: Path | None
    onnx: Path | None
    best: bool


@command(
    app,
    "lba search build photos --index gallery --modality visible",
    "lba search build photos 'more/*.jpg' --index gallery --modality visible --model person.onnx --engine faiss",
)
def build(
    common: CommonOptions,
    gallery: ImageNames,
    index: Annotated[Path, typer.Option(metavar="DIR", help="The folder to make.")],
    modality: Annotated[Modality, typer.Option(help="The modality of the gallery images.")],
    checkpoint: CheckpointFile = None,
    best: Best = False,
    model: ModelFile = None,
    engine: Annotated[
        Engine,
        typer.Option(help="faiss: also build the FAISS index for queries with --engine faiss (needs the extra faiss)."),
    ] = "exact",
    thresholds: ThresholdsFile = None,
    skip_broken: SkipBroken = False,
    force: Force = False,
) -> None:
    """Embed gallery images and write an index of them.

    The index is a folder, which appears only when it is complete. It stores absolute image paths.
    """
    from lba_cli.cli.checkpoints import embedding_request
    from lba_cli.search.embed_paths import embedded_rows
    from lba_cli.search.faiss_index import require_faiss
    from lba_cli.search.index import IndexDescription
    from lba_cli.search.thresholds import read_thresholds
    from lba_cli.search.update import build_index, require_new_index

    require_new_index(index, replace=force)
    if engine == "faiss":
        require_faiss()
    paths = _gallery_paths(gallery, common.listener)
    request = embedding_request(paths, modality, checkpoint, model, common, best=best, skip_broken=skip_broken)
    known = read_thresholds(thresholds, request.embedder.fingerprint) if thresholds else None
    description = IndexDescription.from_embedder(request.embedder, modality, known)
    rows = embedded_rows(request, common.listener)
    _print_contents(index, build_index(index, description, rows, faiss=engine == "faiss", replace=force))


@command(
    app,
    "lba search query gallery night.png --modality infrared",
    "lba search query gallery night --modality infrared --top 20 --json ranks.json --picture ranks.png",
    "lba search query gallery night.png --modality infrared --far 0.001 --thresholds thresholds.json",
    "lba search query gallery one-person/*.png --modality infrared --together --tracks",
)
def query(
    common: CommonOptions,
    index: IndexFolder,
    images: ImageNames,
    modality: Annotated[Modality, typer.Option(help="The modality of the query images.")],
    top: Annotated[int, typer.Option(min=1, max=10_000, help="How many gallery images to list per query.")] = 10,
    json: RanksFile = None,
    picture: RanksPicture = None,
    engine: SearchEngine = "exact",
    min_score: MinScore = None,
    far: Far = None,
    thresholds: ThresholdsFile = None,
    together: Together = False,
    tracks: Tracks = False,
    same_modality: Annotated[
        bool, typer.Option("--same-modality", help="Allow queries of the same modality as the gallery.")
    ] = False,
    checkpoint: IndexCheckpoint = None,
    best: Best = False,
    model: ModelFile = None,
    skip_broken: SkipBroken = False,
    force: Force = False,
) -> None:
    """Rank the gallery images by their similarity to each query. Scores are dot products, at most 1.

    With --min-score or --far, the list may be empty: nobody in the gallery is similar enough.
    """
    from lba_cli.cli.checkpoints import image_paths
    from lba_cli.cli.console import get_console
    from lba_cli.cli.search_tables import draw_lists, ranking_table, write_lists
    from lba_cli.search.index import open_index
    from lba_cli.search.rank_images import RankingOptions, least_score, rank_images

    require_new_files({"--json": json, "--picture": picture}, force=force)
    if picture and (together or tracks):
        raise LbaError(f"--picture shows single images: leave it out, or {'--together' if together else '--tracks'}")
    if picture:
        from lba_cli.visualize.canvas import require_new_picture

        require_new_picture(picture, force=force, option="--picture")
    opened = open_index(index)
    if opened.manifest.modality == modality and not same_modality:
        raise LbaError(
            f"{index}: holds {modality} images, the same modality as the queries: correct --modality, or allow this with "
            "--same-modality"
        )
    least = least_score(opened, modality, min_score, far, thresholds)
    paths = image_paths(images, common.listener)
    request = _request_for(opened, paths, modality, _Model(checkpoint, model, best), common, skip_broken)
    options = RankingOptions(top, engine, least, together, tracks)
    lists = rank_images(opened, request, options, common.listener)
    if json:
        write_lists(json, opened, modality, options, lists, force)
    if picture:
        draw_lists(picture, opened, lists, force, common.listener)
    for each in lists:
        get_console().print(ranking_table(each, least))


@command(app, "lba search add gallery new-photos")
def add(
    common: CommonOptions,
    index: IndexFolder,
    images: ImageNames,
    modality: Annotated[
        Modality | None,
        typer.Option(help="The modality of the images, which must be the modality of the gallery (the default)."),
    ] = None,
    checkpoint: IndexCheckpoint = None,
    best: Best = False,
    model: ModelFile = None,
    skip_broken: SkipBroken = False,
) -> None:
    """Add images to an index. Images that are already in the index are embedded again."""
    from lba_cli.search.embed_paths import embedded_rows
    from lba_cli.search.index import IndexDescription, open_index
    from lba_cli.search.update import add_rows

    opened = open_index(index)
    kind = opened.manifest.modality
    opened.require_modality(modality or kind)
    paths = _gallery_paths(images, common.listener)
    request = _request_for(opened, paths, kind, _Model(checkpoint, model, best), common, skip_broken)
    description = IndexDescription.from_embedder(request.embedder, kind)
    made, replaced = add_rows(index, description, embedded_rows(request, common.listener))
    if replaced:
        words = plural(replaced, "image was already in the index and was", "images were already in the index and were")
        common.listener.say(f"{replaced} {words} embedded again")
    _print_contents(index, made)


@command(app, "lba search remove gallery photos/0001.jpg", "lba search remove gallery old-photos")
def remove(
    common: CommonOptions,
    index: IndexFolder,
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATHS", help="Images, folders or quoted glob patterns. The files needn't exist any more."
        ),
    ],
) -> None:
    """Remove images from an index. The image files are not touched."""
    from lba_cli.search.update import remove_rows

    common.load()
    made, count = remove_rows(index, paths)
    common.listener.say(f"{count} {plural(count, 'image was', 'images were')} removed")
    _print_contents(index, made)


@command(app, "lba search info gallery")
def info(common: CommonOptions, index: IndexFolder) -> None:
    """Check every byte of an index, and show what it contains."""
    from lba_cli.cli.console import get_console
    from lba_cli.cli.search_tables import info_table
    from lba_cli.search.index import open_index

    common.load()
    get_console().print(info_table(open_index(index, fully=True)))


def _gallery_paths(names: list[str], listener: Listener) -> list[str]:
    """Return the absolute paths of the images that ``names`` (files, folders or glob patterns) stand for, sorted."""
    from lba_cli.cli.checkpoints import image_paths
    from lba_cli.search.image_paths import absolute_path

    return sorted({absolute_path(path) for path in image_paths(names, listener)})


def _request_for(
    index: Index, paths: list[str], modality: Modality, model: _Model, common: CommonOptions, skip_broken: bool
) -> EmbeddingRequest:
    """Open the model that the command line names, or by default the model recorded in the index, to embed ``paths``.

    Raises:
        SearchError: this isn't the model that built the index.
    """
    from lba_cli.cli.checkpoints import embedding_request

    origin = Path(index.manifest.origin)
    if not any(model) and origin.is_file():
        common.listener.say(f"model: {origin}, which built the index")
        is_onnx = origin.suffix.lower() == ".onnx"
        model = _Model(None if is_onnx else origin, origin if is_onnx else None, best=False)
    files = model.checkpoint, model.onnx
    request = embedding_request(
        paths,
        modality,
        *files,
        common,
        best=model.best,
        skip_broken=skip_broken,
        value_range=index.manifest.value_range,
    )
    index.require_model(request.embedder)
    return request


def _print_contents(index: Path, made: Manifest) -> None:
    from lba_cli.cli.console import print_line

    images = plural(made.images, "image")
    print_line(f"{index}: {made.images:,} {made.modality} {images}, embeddings of {made.dimension} numbers")
