"""``lba export``: the embedding network for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from lba_cli.cli.boundary import guarded
from lba_cli.cli.options import Assignments, CheckpointFile, ConfigFile, Debug, Force, examples

EXAMPLES = examples(
    "lba export --format onnx --output person.onnx",
    "lba export --checkpoint runs/paper/checkpoints/best.pt --format pt2 --output person.pt2",
    "lba export --checkpoint sysu_pretrained.t --format safetensors --output person.safetensors",
)


@guarded
def export(
    format: Annotated[
        Literal["onnx", "pt2", "safetensors"],
        typer.Option("--format", help="onnx (onnxruntime), pt2 (torch.export), or safetensors (weights and metadata)."),
    ],
    output: Annotated[Path, typer.Option("--output", metavar="PATH", help="The file to write.")],
    checkpoint: CheckpointFile = None,
    force: Force = False,
    config: ConfigFile = None,
    assignments: Assignments = None,
    debug: Debug = False,
) -> None:
    """Write the network that embeds images: batch size free, the stem chosen by the input `infrared`.

    What was written is run against the trained network before the file appears. Sizes and normalisation are in the
    file's metadata.
    """
    from lba_cli.cli.console import listener
    from lba_cli.cli.console import output as out
    from lba_cli.cli.opening import open_checkpoint
    from lba_cli.export import export as run_export

    told = listener()
    opened = open_checkpoint(checkpoint, None, config, assignments, {}, told)
    deviation = run_export(opened.network.cpu(), opened.description, format, output, force=force)
    out().print(
        f"{output}: equals the trained network within {deviation:.1e} (batches of 1 and 7, both modalities)",
        markup=False,
        soft_wrap=True,
    )
