"""``lba export``: the embedding network for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lba_cli.cli.boundary import guarded
from lba_cli.cli.deferred import commands
from lba_cli.cli.options import Assignments, CheckpointFile, ConfigFile, Debug, Force, examples
from lba_cli.vocabulary import ONNX_OPSET, ExportFormat, ExportPrecision, Stems

if TYPE_CHECKING:
    from lba_cli.cli.opening import Opened
    from lba_cli.export import Export, Measuring
    from lba_cli.export.model import EmbedOne

app = commands()
EXAMPLES = examples(
    "lba export --format onnx --output person.onnx",
    "lba export --format onnx --stems two --precision float16 --data datasets/SYSU-MM01 --output person.onnx",
    "lba export --checkpoint runs/paper/checkpoints/best.pt --format pt2 --output person.pt2",
    "lba export --checkpoint sysu_pretrained.t --format safetensors --output person.safetensors",
    "lba export --format official --output person.t",
)

DATA_HELP = "A data set's folder or store: score the trained and the exported network on its usual setting, and tell both figures."


@app.command(epilog=EXAMPLES)
@guarded
def export(
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
    config: ConfigFile = None,
    assignments: Assignments = None,
    debug: Debug = False,
) -> None:
    """Write the network that embeds images, for any batch size, and a model card beside it.

    What was written is run against the trained network before the file appears. Images and embeddings are float32 in
    every precision; sizes and normalisation are in the file's metadata.
    """
    from lba_cli.cli.console import listener
    from lba_cli.cli.opening import open_checkpoint
    from lba_cli.evaluation.run import selection_words
    from lba_cli.export import export as run_export

    opened = open_checkpoint(checkpoint, data, config, assignments, {}, listener())
    result = run_export(
        opened.network.cpu(),
        opened.description,
        format,
        output,
        precision=precision,
        stems=stems,
        card=not no_card,
        figures_of=selection_words(opened.description.config.get("data", {}).get("dataset", "")),
        measuring=_measuring(opened) if data else None,
        force=force,
    )
    _tell(result, opened)


def _measuring(opened: Opened) -> Measuring:
    """The data set's usual setting, on which any embedding function can be scored."""
    from lba_cli.evaluation.features import PLAIN, embed_through
    from lba_cli.evaluation.run import draw_trials, score, selection
    from lba_cli.export import Measuring

    source = opened.images(own_split=True)
    trials = draw_trials(source, selection(source))
    size = opened.network.embedding_size

    def figures(embed: EmbedOne) -> dict[str, float]:
        embeddings = embed_through(
            embed,
            size,
            source,
            trials.samples(),
            listener=opened.listener,
            batch_size=opened.run.evaluation.batch_size,
            workers=opened.run.data.workers,
        )
        (result,) = score(source, [trials], {PLAIN: embeddings}, listener=opened.listener)
        return result.mean()

    setting, count = trials.setting, len(trials.each)
    split = f", split {source.split}" if source.split else ""
    where = f"{source.name}{split}, {setting.mode}, {setting.gallery_words()}, {setting.protocol} protocol"
    return Measuring(f"{where}, {'1 trial' if count == 1 else f'mean of {count} trials'}", figures)


def _tell(result: Export, opened: Opened) -> None:
    from lba_cli.cli.console import output as out
    from lba_cli.model.network import IMAGE_SIZE

    names = " and ".join(str(file.path) for file in result.files)
    s = "s" if len(result.files) == 1 else ""
    same = f"equal{s} the trained network within"
    if result.precision != "float32":
        same = f"deviate{s} from the trained network by at most"
    lines = [f"{names}: {same} {result.deviation:.1e} (batches of 1 and 7, both modalities)"]
    if result.measured:
        both = [result.measured.trained, result.measured.exported]
        shown = "; ".join(f"{n} {both[0][n]:.2%} trained, {both[1][n]:.2%} exported" for n in ("rank1", "mAP"))
        lines.append(f"{result.measured.where}: {shown}")
    for line in lines:
        out().print(line, markup=False, soft_wrap=True)
    told = opened.description
    if result.format == "official" and (told.height, told.width, told.dataset) != (*IMAGE_SIZE, "SYSU-MM01"):
        opened.listener.warn(
            f"the released layout doesn't tell that this network takes images of {told.height}×{told.width} and was trained on "
            f"{told.dataset or 'other data'}: whatever reads it, lba too, takes it for {IMAGE_SIZE[0]}×{IMAGE_SIZE[1]} and SYSU-MM01"
        )
