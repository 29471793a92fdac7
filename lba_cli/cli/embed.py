"""``lba embed``: vectors of any images, as a file that other programs load."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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
from lba_cli.vocabulary import Modality

app = commands()
EXAMPLES = (
    "lba embed photos --modality visible --output photos.npz",
    "lba embed 'night/**/*.png' --modality infrared --output night.csv --skip-broken",
    "lba embed photos --modality visible --output photos.npz --model person.onnx",
)


@command(app, *EXAMPLES)
def embed(
    common: CommonOptions,
    images: ImageNames,
    modality: Annotated[Modality, typer.Option(help="What the images are: it chooses the network's stem.")],
    output: Annotated[Path, typer.Option(metavar="FILE", help="What to write: .npz or .csv.")],
    checkpoint: CheckpointFile = None,
    model: ModelFile = None,
    skip_broken: SkipBroken = False,
    force: Force = False,
) -> None:
    """Embed any images: unit-length vectors whose dot products are the scores.

    A .npz has the arrays `paths`, `features` (n × D, float32), and `modality`, `model`, `height`, `width`; a .csv has a row
    an image: path, modality, D numbers. What was interrupted, by whatever, goes on with the same command.
    """
    from lba_cli.cli.checkpoints import image_paths, open_embedder
    from lba_cli.cli.console import get_console, get_listener
    from lba_cli.outputs import require_new_file
    from lba_cli.search.embed_file import embed_to_file
    from lba_cli.search.vector_files import FORMATS

    listener = get_listener()
    require_new_file(output, force=force, suffixes=tuple(FORMATS))
    paths = image_paths(images, listener)
    embedder, config = open_embedder(modality, checkpoint, model, common, listener)
    made = embed_to_file(
        embedder,
        modality,
        paths,
        output,
        batch_size=config.evaluation.batch_size,
        listener=listener,
        skip_broken=skip_broken,
        force=force,
    )
    for line in made.left_out:
        listener.warn(f"left out {line}")
    get_console().print(
        f"{output}: {made.images:,} {modality} images, vectors of {made.dimension} numbers",
        markup=False,
        soft_wrap=True,
    )
