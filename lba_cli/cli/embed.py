"""``lba embed``: vectors of any images, as a file that other programs load."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lba_cli.cli.boundary import guarded
from lba_cli.cli.deferred import commands
from lba_cli.cli.options import (
    Assignments,
    CheckpointFile,
    ConfigFile,
    Debug,
    Force,
    ImageNames,
    ModelFile,
    SkipBroken,
    examples,
)
from lba_cli.vocabulary import Modality

app = commands()
EXAMPLES = examples(
    "lba embed photos --modality visible --output photos.npz",
    "lba embed 'night/**/*.png' --modality infrared --output night.csv --skip-broken",
    "lba embed photos --modality visible --output photos.npz --model person.onnx",
)


@app.command(epilog=EXAMPLES)
@guarded
def embed(
    images: ImageNames,
    modality: Annotated[Modality, typer.Option(help="What the images are: it chooses the network's stem.")],
    output: Annotated[Path, typer.Option(metavar="FILE", help="What to write: .npz or .csv.")],
    checkpoint: CheckpointFile = None,
    model: ModelFile = None,
    skip_broken: SkipBroken = False,
    force: Force = False,
    config: ConfigFile = None,
    assignments: Assignments = None,
    debug: Debug = False,
) -> None:
    """Embed any images: unit-length vectors whose dot products are the scores.

    A .npz has the arrays `paths`, `features` (n × D, float32), and `modality`, `model`, `height`, `width`; a .csv has a row
    an image: path, modality, D numbers. What was interrupted, by whatever, goes on with the same command.
    """
    from lba_cli.cli.console import listener
    from lba_cli.cli.console import output as out
    from lba_cli.cli.opening import image_paths, open_embedder
    from lba_cli.outputs import require_new_file
    from lba_cli.search.run import embed_to_file
    from lba_cli.search.vectors import FORMATS

    told = listener()
    require_new_file(output, force=force, suffixes=tuple(FORMATS))
    paths = image_paths(images, told)
    embedder, run = open_embedder(modality, checkpoint, model, config, assignments, told)
    made = embed_to_file(
        embedder,
        modality,
        paths,
        output,
        batch_size=run.evaluation.batch_size,
        listener=told,
        skip_broken=skip_broken,
        force=force,
    )
    for line in made.left_out:
        told.warn(f"left out {line}")
    out().print(
        f"{output}: {made.images:,} {modality} images, vectors of {made.dimension} numbers",
        markup=False,
        soft_wrap=True,
    )
