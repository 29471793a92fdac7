"""``lba search``: build an index of gallery images and search it with query images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lba_cli.cli.options import (
    Best,
    CheckpointFile,
    CommonOptions,
    EmbeddingArithmetic,
    Force,
    ImageNames,
    ModelFile,
    SkipBroken,
    command,
    group,
)
from lba_cli.cli.search_options import (
    Approximate,
    BuildEngine,
    Far,
    IndexCheckpoint,
    IndexEngine,
    IndexFolder,
    LabelsFile,
    MinScore,
    NewIndex,
    RanksFile,
    RanksPicture,
    SearchEngine,
    StoredDtype,
    ThresholdsFile,
    Together,
    Tracks,
    Uri,
)
from lba_cli.errors import LbaError
from lba_cli.outputs import require_new_files
from lba_cli.vocabulary import Modality, plural

if TYPE_CHECKING:
    from lba_cli.cli.checkpoints import ModelChoice
    from lba_cli.reporting import Listener
    from lba_cli.search.embed_paths import EmbeddingRequest
    from lba_cli.search.gallery import Gallery
    from lba_cli.search.gallery_place import Contents

app = group()


@command(
    app,
    "lba search build photos --index gallery --modality visible",
    "lba search build photos 'more/*.jpg' --index gallery --modality visible --model person.onnx --engine faiss",
    "lba search build photos --index people --modality visible --engine milvus --labels photos.csv",
    distributed=True,
)
def build(
    common: CommonOptions,
    gallery: ImageNames,
    index: NewIndex,
    modality: Annotated[Modality, typer.Option(help="The modality of the gallery images.")],
    checkpoint: CheckpointFile = None,
    best: Best = False,
    model: ModelFile = None,
    precision: EmbeddingArithmetic = None,
    engine: BuildEngine = "exact",
    dtype: StoredDtype = "float32",
    uri: Uri = None,
    approximate: Approximate = False,
    labels: LabelsFile = None,
    thresholds: ThresholdsFile = None,
    skip_broken: SkipBroken = False,
    force: Force = False,
) -> None:
    """Embed gallery images and write an index of them.

    The index is a folder, or a gallery in Milvus. It appears only when it is complete, and stores absolute image paths. After an
    interruption, the same command continues the work. Under `torchrun`, the processes share the images.
    """
    from lba_cli.cli.checkpoints import ModelChoice, embedding_request
    from lba_cli.processes import run_on_writer
    from lba_cli.search.embed_together import embedded
    from lba_cli.search.gallery import IndexDescription
    from lba_cli.search.gallery_place import BuildOptions, GalleryPlace
    from lba_cli.search.image_labels import read_labels
    from lba_cli.search.thresholds import read_thresholds

    place = GalleryPlace(index, engine, uri)
    place.require_milvus_for("--labels", labels)
    options = BuildOptions(replace=force, dtype=dtype, approximate=approximate)
    run_on_writer(lambda: place.require_new(options))
    paths = _gallery_paths(gallery, common.listener)
    options = replace(options, labels=read_labels(labels, paths, common.listener))
    choice = ModelChoice(checkpoint, model, best, precision)
    request = embedding_request(paths, modality, choice, common, skip_broken=skip_broken)
    known = read_thresholds(thresholds, request.embedder.fingerprint) if thresholds else None
    description = IndexDescription.from_embedder(request.embedder, modality, known)
    with embedded(request, index, common.listener) as kept:
        if kept:
            _print_contents(index, place.build(description, kept.rows(), options))


@command(
    app,
    "lba search query gallery night.png --modality infrared",
    "lba search query gallery night --modality infrared --top 20 --json ranks.json --picture ranks.png",
    "lba search query gallery night.png --modality infrared --far 0.001 --thresholds thresholds.json",
    "lba search query gallery one-person/*.png --modality infrared --together --tracks",
    "lba search query people night.png --modality infrared --engine milvus --uri http://localhost:19530",
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
    uri: Uri = None,
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
    from lba_cli.cli.checkpoints import ModelChoice, image_paths
    from lba_cli.cli.console import get_console
    from lba_cli.cli.search_tables import draw_lists, ranking_table, write_lists
    from lba_cli.search.gallery_place import GalleryPlace
    from lba_cli.search.rank_images import RankingOptions, least_score, rank_images

    require_new_files({"--json": json, "--picture": picture}, force=force)
    if picture and (together or tracks):
        raise LbaError(f"--picture shows single images: leave it out, or {'--together' if together else '--tracks'}")
    if picture:
        from lba_cli.visualize.canvas import require_new_picture

        require_new_picture(picture, force=force, option="--picture")
    with GalleryPlace(index, engine, uri).opened() as gallery:
        if gallery.description.modality == modality and not same_modality:
            raise LbaError(
                f"{index}: holds {modality} images, the same modality as the queries: correct --modality, or allow this with "
                "--same-modality"
            )
        least = least_score(gallery, modality, min_score, far, thresholds)
        paths = image_paths(images, common.listener)
        request = _request_for(gallery, paths, modality, ModelChoice(checkpoint, model, best), common, skip_broken)
        options = RankingOptions(top, engine, least, together, tracks)
        lists = rank_images(gallery, request, options, common.listener)
        if json:
            write_lists(json, gallery, modality, options, lists, force)
        if picture:
            draw_lists(picture, gallery, lists, force, common.listener)
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
    engine: IndexEngine = "exact",
    uri: Uri = None,
    labels: LabelsFile = None,
    checkpoint: IndexCheckpoint = None,
    best: Best = False,
    model: ModelFile = None,
    skip_broken: SkipBroken = False,
) -> None:
    """Add images to an index. Images that are already in the index are embedded again."""
    from lba_cli.cli.checkpoints import ModelChoice
    from lba_cli.search.embed_paths import embedded_rows
    from lba_cli.search.gallery import IndexDescription
    from lba_cli.search.gallery_place import GalleryPlace
    from lba_cli.search.image_labels import read_labels

    place = GalleryPlace(index, engine, uri)
    place.require_milvus_for("--labels", labels)
    with place.opened() as opened:
        kind = opened.description.modality
        opened.require_modality(modality or kind)
        paths = _gallery_paths(images, common.listener)
        request = _request_for(opened, paths, kind, ModelChoice(checkpoint, model, best), common, skip_broken)
    description = IndexDescription.from_embedder(request.embedder, kind)
    known = read_labels(labels, paths, common.listener)
    made, replaced = place.add(description, embedded_rows(request, common.listener), known)
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
    engine: IndexEngine = "exact",
    uri: Uri = None,
) -> None:
    """Remove images from an index. The image files are not touched."""
    from lba_cli.search.gallery_place import GalleryPlace

    common.load()
    made, count = GalleryPlace(index, engine, uri).remove(paths)
    common.listener.say(f"{count} {plural(count, 'image was', 'images were')} removed")
    _print_contents(index, made)


@command(app, "lba search info gallery")
def info(common: CommonOptions, index: IndexFolder, engine: IndexEngine = "exact", uri: Uri = None) -> None:
    """Show what an index contains. Every byte of a folder is checked."""
    from lba_cli.cli.console import get_console
    from lba_cli.cli.search_tables import info_table
    from lba_cli.search.gallery_place import GalleryPlace

    common.load()
    with GalleryPlace(index, engine, uri).opened(fully=True) as gallery:
        get_console().print(info_table(gallery))


def _gallery_paths(names: list[str], listener: Listener) -> list[str]:
    """Return the absolute paths of the images that ``names`` (files, folders or glob patterns) stand for, sorted."""
    from lba_cli.cli.checkpoints import image_paths
    from lba_cli.search.image_paths import absolute_path

    return sorted({absolute_path(path) for path in image_paths(names, listener)})


def _request_for(
    gallery: Gallery,
    paths: list[str],
    modality: Modality,
    choice: ModelChoice,
    common: CommonOptions,
    skip_broken: bool,
) -> EmbeddingRequest:
    """Open the model that the command line names, or by default the model recorded in the index, to embed ``paths``.

    Raises:
        SearchError: this isn't the model that built the index.
    """
    from lba_cli.cli.checkpoints import ModelChoice, embedding_request

    origin = Path(gallery.description.origin)
    if not (choice.checkpoint or choice.onnx or choice.best) and origin.is_file():
        common.listener.say(f"model: {origin}, which built the index")
        is_onnx = origin.suffix.lower() == ".onnx"
        choice = ModelChoice(None if is_onnx else origin, origin if is_onnx else None, best=False)
    compared = gallery.description
    request = embedding_request(paths, modality, choice, common, skip_broken=skip_broken, compared=compared)
    gallery.require_model(request.embedder)
    return request


def _print_contents(index: Path, made: Contents) -> None:
    from lba_cli.cli.console import print_line

    images = plural(made.images, "image")
    print_line(f"{index}: {made.images:,} {made.modality} {images}, embeddings of {made.dimension} numbers")
