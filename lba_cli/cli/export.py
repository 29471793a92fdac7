"""``lba export``: the embedding network for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lba_cli.cli.lazy_commands import commands
from lba_cli.cli.options import CheckpointFile, CommonOptions, Force, command
from lba_cli.vocabulary import ONNX_OPSET, ExportFormat, ExportPrecision, Stems

if TYPE_CHECKING:
    from lba_cli.cli.checkpoints import OpenedCheckpoint
    from lba_cli.export import ExportResult, ExportScorer
    from lba_cli.export.embedding_model import EmbedOne

app = commands()
EXAMPLES = (
    "lba export --format onnx --output person.onnx",
    "lba export --format onnx --stems two --precision float16 --data datasets/SYSU-MM01 --output person.onnx",
    "lba export --checkpoint runs/paper/checkpoints/best.pt --format pt2 --output person.pt2",
    "lba export --checkpoint sysu_pretrained.t --format safetensors --output person.safetensors",
    "lba export --format official --output person.t",
)

DATA_HELP = "A data set's folder or store: score the trained and the exported network on its usual setting, and tell both figures."


@command(app, *EXAMPLES)
def export(
    common: CommonOptions,
    format: Annotated[
        ExportFormat,
        typer.Option(
            "--format",
            help=f"onnx (onnxruntime; opset {ONNX_OPSET}), pt2 (torch.export), safetensors (weights and metadata), or official "
            "(the method's released layout, for other people's code; ResNet-50 alone).",
        ),
    ],
    output: Annotated[Path, typer.Option("--output", metavar="PATH", help="The file to write.")],
    checkpoint: CheckpointFile = None,
    stems: Annotated[
        Stems,
        typer.Option(
            help="one file for both modalities, with the input `infrared`; or two, NAME-visible and NAME-infrared, without it."
        ),
    ] = "one",
    precision: Annotated[
        ExportPrecision,
        typer.Option(help="Of the weights: half halves the file (not bfloat16 in onnx, neither in official)."),
    ] = "float32",
    data: Annotated[Path | None, typer.Option("--data", metavar="DIR", help=DATA_HELP, show_default=False)] = None,
    no_card: Annotated[bool, typer.Option("--no-card", help="Leave out the model card, PATH.md.")] = False,
    force: Force = False,
) -> None:
    """Write the network that embeds images, for any batch size, and a model card beside it.

    What was written is run against the trained network before the file appears. Images and embeddings are float32 in
    every precision; sizes and normalisation are in the file's metadata.
    """
    from lba_cli.cli.checkpoints import open_checkpoint
    from lba_cli.cli.console import get_listener
    from lba_cli.export import ExportOptions
    from lba_cli.export import export as run_export

    opened = open_checkpoint(checkpoint, data, common, {}, get_listener())
    options = ExportOptions(precision, stems, not no_card, _scorer(opened) if data else None, force)
    result = run_export(opened.network.cpu(), opened.description, format, output, options)
    _tell(result, opened)


def _scorer(opened: OpenedCheckpoint) -> ExportScorer:
    """The data set's usual setting, on which any embedding function can be scored."""
    from lba_cli.evaluation.embedding import embed_through
    from lba_cli.evaluation.network_embedder import PLAIN
    from lba_cli.evaluation.scoring import draw_setting, score
    from lba_cli.evaluation.setting_choice import selection_setting
    from lba_cli.export import ExportScorer

    source = opened.images(refuse_training_people=True)
    drawn = draw_setting(source, selection_setting(source))
    size = opened.network.embedding_size

    def figures(embed: EmbedOne) -> dict[str, float]:
        embeddings = embed_through(
            embed,
            size,
            source,
            drawn.samples(),
            listener=opened.listener,
            batch_size=opened.config.evaluation.batch_size,
            workers=opened.config.data.workers,
        )
        (result,) = score(source, [drawn], {PLAIN: embeddings}, listener=opened.listener)
        return result.mean()

    setting, count = drawn.setting, len(drawn.draws)
    split = f", trial {source.trial}" if source.trial else ""
    where = f"{source.name}{split}, {setting.mode}, {setting.gallery_words}, {setting.protocol} protocol"
    return ExportScorer(f"{where}, {'1 draw' if count == 1 else f'mean of {count} draws'}", figures)


def _tell(result: ExportResult, opened: OpenedCheckpoint) -> None:
    from lba_cli.cli.console import get_console
    from lba_cli.model.network import IMAGE_SIZE

    names = " and ".join(str(file.path) for file in result.files)
    s = "s" if len(result.files) == 1 else ""
    same = f"equal{s} the trained network within"
    if result.precision != "float32":
        same = f"deviate{s} from the trained network by at most"
    lines = [f"{names}: {same} {result.deviation:.1e} (batches of 1 and 7, both modalities)"]
    if result.scores:
        both = [result.scores.trained, result.scores.exported]
        shown = "; ".join(f"{n} {both[0][n]:.2%} trained, {both[1][n]:.2%} exported" for n in ("rank1", "mAP"))
        lines.append(f"{result.scores.setting}: {shown}")
    for line in lines:
        get_console().print(line, markup=False, soft_wrap=True)
    listener = opened.description
    if result.format == "official" and (listener.height, listener.width, listener.dataset) != (
        *IMAGE_SIZE,
        "SYSU-MM01",
    ):
        opened.listener.warn(
            f"the released layout doesn't tell that this network takes images of {listener.height}×{listener.width} and was trained on "
            f"{listener.dataset or 'other data'}: whatever reads it, lba too, takes it for {IMAGE_SIZE[0]}×{IMAGE_SIZE[1]} and SYSU-MM01"
        )
