"""``lba embed``: compute embeddings of images and save them to a file."""

from pathlib import Path
from typing import Annotated

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
from lba_cli.vocabulary import Modality, plural

app = group()
EXAMPLES = (
    "lba embed photos --modality visible --output photos.npz",
    "lba embed 'night/**/*.png' --modality infrared --output night.csv --skip-broken",
    "lba embed photos --modality visible --output photos.npz --model person.onnx",
)


@command(app, *EXAMPLES, distributed=True)
def embed(
    common: CommonOptions,
    images: ImageNames,
    modality: Annotated[Modality, typer.Option(help="The modality of the images; it selects the network's stem.")],
    output: Annotated[Path, typer.Option(metavar="FILE", help="The file to write: .npz or .csv.")],
    checkpoint: CheckpointFile = None,
    best: Best = False,
    model: ModelFile = None,
    precision: EmbeddingArithmetic = None,
    skip_broken: SkipBroken = False,
    force: Force = False,
) -> None:
    """Compute embeddings of images and save them to a file.

    Embeddings have unit length. The dot product of two embeddings is the similarity of the images. An .npz file has the arrays
    `paths`, `features` (n × D, float32), `modality`, `model`, `height` and `width`. A .csv file has one row per image: path,
    modality, and the D numbers of the embedding. After an interruption, the same command continues the work. Under `torchrun`,
    the processes share the images.
    """
    from lba_cli.cli.checkpoints import ModelChoice, embedding_request, image_paths
    from lba_cli.cli.console import print_line
    from lba_cli.outputs import require_new_file
    from lba_cli.search.embed_file import embed_to_file
    from lba_cli.search.vector_files import FORMATS

    require_new_file(output, force=force, suffixes=tuple(FORMATS))
    paths = image_paths(images, common.listener)
    choice = ModelChoice(checkpoint, model, best, precision)
    request = embedding_request(paths, modality, choice, common, skip_broken=skip_broken)
    written = embed_to_file(request, output, listener=common.listener, force=force)
    if written is not None:
        noun = plural(written, "image")
        print_line(f"{output}: {written:,} {modality} {noun}, embeddings of {request.embedder.dimension} numbers")
