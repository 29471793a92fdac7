"""``lba export``: write the embedding network to a file for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from lba_cli.cli.options import Best, CheckpointFile, CommonOptions, Force, command, group
from lba_cli.datasets import AUTO
from lba_cli.errors import LbaError
from lba_cli.outputs import require_new_file, require_separate_files
from lba_cli.vocabulary import ONNX_OPSET, ExportFormat, ExportPrecision, Stems

if TYPE_CHECKING:
    from lba_cli.cli.checkpoints import OpenedCheckpoint
    from lba_cli.export import Calibration, ExportResult

app = group()
EXAMPLES = (
    "lba export --format onnx --output person.onnx",
    "lba export --format onnx --stems two --precision float16 --data datasets/SYSU-MM01 --output person.onnx",
    "lba export --checkpoint runs/paper --best --format pt2 --output person.pt2",
    "lba export --checkpoint sysu_pretrained.t --format safetensors --output person.safetensors",
    "lba export --format onnx --precision int8 --data datasets/SYSU-MM01 --json scores.json --output person.onnx",
    "lba export --format official --output person.t",
)

CALIBRATION_IMAGES = 64  # of each modality
FormatName = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="|".join(get_args(ExportFormat)),
        help=f"onnx (for ONNX Runtime, opset {ONNX_OPSET}), pt2 (torch.export), safetensors (weights and metadata), or "
        "official (the layout of the authors' code; ResNet-50 only).",
    ),
]
Output = Annotated[Path, typer.Option("--output", metavar="PATH", help="The file to write.")]
StemFiles = Annotated[
    Stems,
    typer.Option(
        help="one: a single file for both modalities; its input `infrared` says which images are infrared. two: a file for "
        "each modality, NAME-visible and NAME-infrared."
    ),
]
WeightPrecision = Annotated[
    ExportPrecision,
    typer.Option(
        help="Precision of the weights. 16 bits halve the file, int8 (onnx only) quarters it. The format onnx doesn't support "
        "bfloat16; official is always float32."
    ),
]
CalibrationData = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="With --precision int8: the data set (a folder or a store) whose training images the file is calibrated on. "
        "Default: --data, or the data set that the network was trained on.",
    ),
]
ScoredData = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        help="Score the trained and the exported network on this data set (a folder or a store), and report both results.",
    ),
]
Json = Annotated[
    Path | None,
    typer.Option(
        "--json",
        metavar="FILE",
        help="With --data: also write both results as JSON, with the scores that lba search --thresholds reads.",
    ),
]
NoCard = Annotated[bool, typer.Option("--no-card", help="Don't write the model card, PATH.md.")]


@command(app, *EXAMPLES)
def export(
    common: CommonOptions,
    format: FormatName,
    output: Output,
    checkpoint: CheckpointFile = None,
    best: Best = False,
    stems: StemFiles = "one",
    precision: WeightPrecision = "float32",
    calibrate: CalibrationData = None,
    data: ScoredData = None,
    json: Json = None,
    no_card: NoCard = False,
    force: Force = False,
) -> None:
    """Export the embedding network, together with a model card.

    The exported network accepts batches of any size. The file appears only after the exported network has been compared with
    the trained one. Images and embeddings are float32 at every precision. The file's metadata contain the image size and the
    normalisation.
    """
    if json and not data:
        raise LbaError("--json needs --data: it holds the results on a data set")
    if json:
        require_new_file(json, force=force, suffixes=(".json",), option="--json")
        require_separate_files({"--output": output, "--json": json})
    from lba_cli.cli.checkpoints import open_checkpoint
    from lba_cli.cli.export_scores import ExportScoring
    from lba_cli.export import ExportOptions
    from lba_cli.export import export as run_export
    from lba_cli.files import write_text

    opened = open_checkpoint(checkpoint, data, common, best=best)
    calibration = _calibration(opened, calibrate) if precision == "int8" else None
    if calibrate and not calibration:
        raise LbaError("--calibrate needs --precision int8")
    scoring = ExportScoring(opened, every_direction=bool(json)) if data else None
    scorer = scoring.scorer() if scoring else None
    options = ExportOptions(precision, stems, not no_card, scorer, force, calibration)
    result = run_export(opened.network.cpu(), opened.description, format, output, options)
    _print_result(result, opened)
    if scoring and json:
        write_text(json, scoring.as_json(result), replace=force)
        opened.listener.say(f"results of both networks: {json}")
        if not scoring.has_thresholds:
            opened.listener.warn(
                f"{json}: has no scores for rates of false accepts: the data has too few pairs of different people"
            )


def _calibration(opened: OpenedCheckpoint, folder: Path | None) -> Calibration:
    """Return random training images of both modalities: of the data set at ``folder``, by default of the opened one."""
    import random

    import torch

    from lba_cli.data.loaders import normalize
    from lba_cli.data.samples import select
    from lba_cli.datasets.open import open_data
    from lba_cli.export import Calibration
    from lba_cli.vocabulary import MODALITIES

    data = opened.config.data
    if folder:
        data = data.model_copy(update={"root": str(folder), "dataset": AUTO})
    source = open_data(data, opened.listener)
    images = {}
    for modality in MODALITIES:
        known = select(source.samples, "train", modality)
        if not known:
            raise LbaError(
                f"{source.name}: has no {modality} training images to calibrate on: name other data with --calibrate"
            )
        chosen = sorted(random.Random(0).sample(known, min(CALIBRATION_IMAGES, len(known))))
        source.check(chosen, opened.listener)
        images[modality] = normalize(torch.from_numpy(source.read(chosen)))
    return Calibration(f"{sum(map(len, images.values()))} training images of {source.name}", images)


def _print_result(result: ExportResult, opened: OpenedCheckpoint) -> None:
    from lba_cli.cli.console import print_line

    names = " and ".join(str(file.path) for file in result.files)
    s = "s" if len(result.files) == 1 else ""
    same = f"equal{s} the trained network within"
    if result.precision != "float32":
        same = f"deviate{s} from the trained network by at most"
    print_line(f"{names}: {same} {result.deviation:.1e} (batches of 1 and 7, both modalities)")
    if scores := result.scores:
        figures = "; ".join(
            f"{name} {scores.trained[name]:.2%} trained, {scores.exported[name]:.2%} exported"
            for name in ("rank1", "mAP")
        )
        print_line(f"{scores.setting}: {figures}")
    if result.format == "official":
        _warn_of_lost_facts(opened)


def _warn_of_lost_facts(opened: OpenedCheckpoint) -> None:
    """Warn if programs that read the released layout will assume a wrong image size or data set."""
    from lba_cli.model.network import IMAGE_SIZE

    network = opened.description
    if (network.height, network.width, network.dataset) != (*IMAGE_SIZE, "SYSU-MM01"):
        opened.listener.warn(
            f"the released layout can't record this network's image size ({network.height}×{network.width}) and training data "
            f"({network.dataset or 'unknown'}): other programs will assume {IMAGE_SIZE[0]}×{IMAGE_SIZE[1]} and SYSU-MM01; use lba "
            f"with --set data.height={network.height} --set data.width={network.width}"
        )
