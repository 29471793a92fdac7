"""``lba search``: an index of a gallery, ranked for query images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lba_cli.cli.lazy_commands import commands
from lba_cli.cli.options import (
    CheckpointFile,
    CommonOptions,
    Force,
    ImageNames,
    ModelFile,
    SkipBroken,
    command,
)
from lba_cli.errors import LbaError
from lba_cli.vocabulary import Engine, Modality

if TYPE_CHECKING:
    from lba_cli.config import Config
    from lba_cli.reporting import Listener
    from lba_cli.search.embedder import Embedder
    from lba_cli.search.index import Index
    from lba_cli.search.index_manifest import Manifest

app = commands()

IndexFolder = Annotated[Path, typer.Argument(metavar="INDEX", help="The index's folder.", show_default=False)]
SearchEngine = Annotated[
    Engine,
    typer.Option(help="exact compares with every image; faiss, for millions, with a share of them (the extra faiss)."),
]
IndexCheckpoint = Annotated[
    Path | None,
    typer.Option(
        "--checkpoint",
        metavar="FILE",
        help="The checkpoint that built the index; default: the file that it was.",
        show_default=False,
    ),
]


@command(
    app,
    "lba search build photos --index gallery --modality visible",
    "lba search build photos 'more/*.jpg' --index gallery --modality visible --model person.onnx --engine faiss",
)
def build(
    common: CommonOptions,
    gallery: ImageNames,
    index: Annotated[Path, typer.Option(metavar="DIR", help="The folder to make.")],
    modality: Annotated[Modality, typer.Option(help="What the gallery's images are.")],
    checkpoint: CheckpointFile = None,
    model: ModelFile = None,
    engine: Annotated[
        Engine,
        typer.Option(help="faiss: also make what queries with --engine faiss need (the extra faiss)."),
    ] = "exact",
    skip_broken: SkipBroken = False,
    force: Force = False,
) -> None:
    """Embed a gallery into an index: a folder that appears whole or not at all. Images are known by absolute paths."""
    from lba_cli.cli.checkpoints import open_embedder
    from lba_cli.cli.console import get_listener
    from lba_cli.search.embed_paths import embedded_rows
    from lba_cli.search.faiss_index import require_faiss
    from lba_cli.search.index import About
    from lba_cli.search.update import build_index, require_new_index

    listener, left_out = get_listener(), list[str]()
    require_new_index(index, replace=force)
    if engine == "faiss":
        require_faiss()
    paths = _gallery_paths(gallery, listener)
    embedder, config = open_embedder(modality, checkpoint, model, common, listener)
    size = config.evaluation.batch_size
    rows = embedded_rows(
        embedder, modality, paths, left_out, batch_size=size, listener=listener, skip_broken=skip_broken
    )
    made = build_index(index, About.of(embedder, modality, faiss=engine == "faiss"), rows, replace=force)
    _finish(index, made, left_out, listener)


@command(
    app,
    "lba search query gallery night.png --modality infrared",
    "lba search query gallery night --modality infrared --top 20 --json ranks.json --picture ranks.png",
)
def query(
    common: CommonOptions,
    index: IndexFolder,
    images: ImageNames,
    modality: Annotated[Modality, typer.Option(help="What the query images are.")],
    top: Annotated[int, typer.Option(min=1, max=10_000, help="How many gallery images of each list.")] = 10,
    json: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the lists there.", show_default=False)
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also draw the first lists there: .png, .svg or .pdf.", show_default=False),
    ] = None,
    engine: SearchEngine = "exact",
    same_modality: Annotated[
        bool, typer.Option("--same-modality", help="Allow queries of the gallery's own modality.")
    ] = False,
    checkpoint: IndexCheckpoint = None,
    model: ModelFile = None,
    skip_broken: SkipBroken = False,
    force: Force = False,
) -> None:
    """Rank the gallery for query images: a table with scores (dot products, 1 at most), best first."""
    from lba_cli.cli.checkpoints import image_paths
    from lba_cli.cli.console import get_console, get_listener
    from lba_cli.cli.search_tables import draw_lists, ranking_table, write_lists
    from lba_cli.outputs import require_new_files
    from lba_cli.search.index import open_index
    from lba_cli.search.query import rank_images

    require_new_files({"--json": json, "--picture": picture}, force=force)
    if picture:
        from lba_cli.visualize.canvas import require_new_picture

        require_new_picture(picture, force=force, option="--picture")
    listener = get_listener()
    opened = open_index(index)
    _require_other_modality(opened, modality, same_modality)
    paths = image_paths(images, listener)
    embedder, config = _model_of(opened, modality, checkpoint, model, common, listener)
    size = config.evaluation.batch_size
    lists, broken = rank_images(
        opened, embedder, modality, paths, top, engine, batch_size=size, listener=listener, skip_broken=skip_broken
    )
    for line in broken:
        listener.warn(f"left out {line}")
    for each in lists:
        get_console().print(ranking_table(each))
    if json:
        write_lists(json, opened, modality, engine, lists, force)
    if picture:
        draw_lists(picture, opened, lists, force, listener)


@command(app, "lba search add gallery new-photos")
def add(
    common: CommonOptions,
    index: IndexFolder,
    images: ImageNames,
    modality: Annotated[
        Modality | None,
        typer.Option(help="What the images are; they must be what the gallery's are.", show_default=False),
    ] = None,
    checkpoint: IndexCheckpoint = None,
    model: ModelFile = None,
    skip_broken: SkipBroken = False,
) -> None:
    """Add images to an index; those that it has already are embedded again."""
    from lba_cli.cli.console import get_listener
    from lba_cli.search.embed_paths import embedded_rows
    from lba_cli.search.index import About, open_index
    from lba_cli.search.update import add_rows

    listener, left_out = get_listener(), list[str]()
    opened = open_index(index)
    opened.require_modality(modality or opened.manifest.modality)
    paths = _gallery_paths(images, listener)
    kind = opened.manifest.modality
    embedder, config = _model_of(opened, kind, checkpoint, model, common, listener)
    size = config.evaluation.batch_size
    rows = embedded_rows(embedder, kind, paths, left_out, batch_size=size, listener=listener, skip_broken=skip_broken)
    made, replaced = add_rows(index, About.of(embedder, kind), rows)
    if replaced:
        listener.say(f"{replaced} images were there already and are embedded again")
    _finish(index, made, left_out, listener)


@command(app, "lba search remove gallery photos/0001.jpg", "lba search remove gallery old-photos")
def remove(
    common: CommonOptions,
    index: IndexFolder,
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATHS…",
            help="Images, folders or globs in quotes; the files needn't exist any more.",
            show_default=False,
        ),
    ],
) -> None:
    """Remove images from an index; the image files stay."""
    from lba_cli.cli.console import get_listener
    from lba_cli.search.update import remove_rows

    listener = get_listener()
    common.load({}, listener)
    made, count = remove_rows(index, paths)
    listener.say(f"{count} images were removed")
    _finish(index, made, [], listener)


@command(app, "lba search info gallery")
def info(common: CommonOptions, index: IndexFolder) -> None:
    """Check every byte of an index, and say what it holds."""
    from lba_cli.cli.console import get_console, get_listener
    from lba_cli.cli.search_tables import info_table
    from lba_cli.search.index import open_index

    common.load({}, get_listener())
    get_console().print(info_table(open_index(index, fully=True)))


def _gallery_paths(names: list[str], listener: Listener) -> list[str]:
    """The images of ``names`` by their absolute paths, in their order."""
    from lba_cli.cli.checkpoints import image_paths
    from lba_cli.search.image_paths import absolute_path

    return sorted({absolute_path(path) for path in image_paths(names, listener)})


def _model_of(
    index: Index,
    modality: Modality,
    checkpoint: Path | None,
    model: Path | None,
    common: CommonOptions,
    listener: Listener,
) -> tuple[Embedder, Config]:
    """The model that is named, or the file that built the index; it must be the one that did."""
    from lba_cli.cli.checkpoints import open_embedder

    origin = Path(index.manifest.origin)
    if checkpoint is None and model is None and origin.is_file():
        listener.say(f"model: {origin}, which built the index")
        checkpoint, model = (None, origin) if origin.suffix.lower() == ".onnx" else (origin, None)
    embedder, config = open_embedder(modality, checkpoint, model, common, listener)
    index.require_model(embedder)
    return embedder, config


def _require_other_modality(index: Index, modality: Modality, allowed: bool) -> None:
    if index.manifest.modality == modality and not allowed:
        raise LbaError(
            f"{index.folder}: holds {modality} images, as the queries are: name the queries' true --modality, or search "
            "within one modality with --same-modality"
        )


def _finish(index: Path, made: Manifest, left_out: list[str], listener: Listener) -> None:
    from lba_cli.cli.console import get_console

    for line in left_out:
        listener.warn(f"left out {line}")
    words = f"{index}: {made.images:,} {made.modality} images, vectors of {made.dimension} numbers"
    get_console().print(words, markup=False, soft_wrap=True)
