"""``lba evaluate``: the protocols' figures of checkpoints or of features, as tables and as files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lba_cli.cli.boundary import shared
from lba_cli.cli.deferred import commands
from lba_cli.cli.options import (
    AllTrials,
    Assignments,
    CheckpointFile,
    ConfigFile,
    DataFolder,
    Debug,
    Force,
    examples,
)
from lba_cli.errors import LbaError
from lba_cli.outputs import require_new_files
from lba_cli.processes import torchrun_world
from lba_cli.vocabulary import Dataset, Draw, FeaturePlace, ModeChoice, ShotsChoice

if TYPE_CHECKING:
    from lba_cli.evaluation.report import Report
    from lba_cli.reporting import Listener

app = commands()
EXAMPLES = examples(
    "lba evaluate --mode all-search",
    "lba evaluate --checkpoint sysu_pretrained.t --data datasets/SYSU-MM01 --mode all --shots both",
    "lba evaluate runs/baseline runs/full --flip --rerank --published --markdown table.md",
    "lba evaluate --trials all --checkpoint runs/regdb --csv figures.csv",
    "lba evaluate --features theirs.npz --protocol-of llcm",
    "lba evaluate --protocol official --json figures.json",
)

Models = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="CHECKPOINT",
        help="Checkpoints or runs to score; several are set side by side, with the difference to the first.",
        show_default=False,
    ),
]
ModeOption = Annotated[
    ModeChoice | None,
    typer.Option(
        metavar="MODE",
        help="SYSU-MM01: all-search, indoor-search; elsewhere query-to-gallery: infrared-to-visible, visible-to-infrared; "
        "all; auto: the data set's usual [evaluation.mode].",
        show_default=False,
    ),
]
ShotsOption = Annotated[
    ShotsChoice | None,
    typer.Option(
        help="Gallery images an identity and camera: 1, 10 or all; both: 1 and 10 [evaluation.shots].",
        show_default=False,
    ),
]
ProtocolOption = Annotated[
    Draw | None,
    typer.Option(
        help="Whose draws: the papers', SYSU-MM01's own, or LLCM's transposed release [evaluation.protocol].",
        show_default=False,
    ),
]
Rerank = Annotated[
    bool | None,
    typer.Option(
        "--rerank",
        help="Also: k-reciprocal re-ranking [evaluation.rerank, rerank_k1, rerank_k2, rerank_lambda].",
        show_default=False,
    ),
]
Flip = Annotated[
    bool | None,
    typer.Option("--flip", help="Also: the mean with the mirror image's embedding.", show_default=False),
]
FeaturesFrom = Annotated[
    FeaturePlace | None,
    typer.Option(help="neck: also the features after the neck [evaluation.features_from].", show_default=False),
]
Features = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.npz",
        help="Score these features instead of a checkpoint's: arrays features (n, D), identities (n,), modalities (n,) of the "
        "words visible and infrared, cameras (n,) (-1: not known), paths (n,); optionally dataset, name, split, trained_on.",
        show_default=False,
    ),
]
ProtocolOf = Annotated[
    Dataset | None,
    typer.Option(help="Whose protocol scores --features; default: as the file says.", show_default=False),
]
SaveFeatures = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.npz",
        help="Also write the test images' features there, the plain ones whatever the extras, in the arrays of --features.",
        show_default=False,
    ),
]
Json = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Also write every trial's figures there.", show_default=False)
]
Csv = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Also write means and deviations there.", show_default=False)
]
Markdown = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Also write a paper's table there.", show_default=False)
]
WithPublished = Annotated[bool, typer.Option("--published", help="Show the method's published figures beside.")]
OtherSplit = Annotated[
    bool, typer.Option("--allow-other-split", help="Score a model on another split than it was trained for.")
]


@app.command(epilog=EXAMPLES)
@shared
def evaluate(
    models: Models = None,
    checkpoint: CheckpointFile = None,
    data: DataFolder = None,
    mode: ModeOption = None,
    shots: ShotsOption = None,
    protocol: ProtocolOption = None,
    trials: AllTrials = None,
    rerank: Rerank = None,
    flip: Flip = None,
    features_from: FeaturesFrom = None,
    features: Features = None,
    protocol_of: ProtocolOf = None,
    save_features: SaveFeatures = None,
    json: Json = None,
    csv: Csv = None,
    markdown: Markdown = None,
    published: WithPublished = False,
    allow_other_split: OtherSplit = False,
    force: Force = False,
    config: ConfigFile = None,
    assignments: Assignments = None,
    debug: Debug = False,
) -> None:
    """Score checkpoints on the test images: rank-1/5/10/20, mAP and mINP, mean ± deviation over the trials."""
    files = {"--json": json, "--csv": csv, "--markdown": markdown, "--save-features": save_features}
    require_new_files(files, force=force)
    names = [*(models or []), *([checkpoint] if checkpoint else [])]
    _require_sense(names, data, features, protocol_of, save_features, trials)
    from lba_cli.cli.console import listener, output
    from lba_cli.cli.scoring import Request, score_features, score_models
    from lba_cli.cli.tables import report_tables

    options = {
        "evaluation.mode": mode,
        "evaluation.shots": shots,
        "evaluation.protocol": protocol,
        "evaluation.rerank": rerank,
        "evaluation.flip": flip,
        "evaluation.features_from": features_from,
    }
    request, told = Request(data, config, assignments, options, allow_other_split, save_features), listener()
    if features:
        report = score_features(features, protocol_of, request, told)
    else:
        report = score_models(names or [None], request, told, all_trials=bool(trials))
    if not torchrun_world().is_writer:
        return
    report = _with_published(report, told) if published else report
    _write_files(report, json, csv, markdown, force, told)
    for table in report_tables(report, output().width):
        output().print(table, markup=False)


def _require_sense(
    names: list[Path],
    data: Path | None,
    features: Path | None,
    protocol_of: Dataset | None,
    save_features: Path | None,
    trials: str | None,
) -> None:
    """Refuse options that would have no effect beside each other."""
    idle = {"a checkpoint": names, "--data": data, "--save-features": save_features, "--trials": trials}
    for name in [name for name, given in idle.items() if features and given]:
        raise LbaError(f"--features scores a file of features alone: leave {name} out")
    if protocol_of and not features:
        raise LbaError("--protocol-of says whose protocol scores --features; a checkpoint is scored by its data set's")


def _with_published(report: Report, told: Listener) -> Report:
    from lba_cli.evaluation.published import published_for

    rows = published_for(report.results[0].benchmark, [result.setting for result in report.results])
    if not rows:
        told.warn("the method's authors published no figures for these settings")
    return replace(report, published=rows)


def _write_files(
    report: Report, json: Path | None, csv: Path | None, markdown: Path | None, force: bool, told: Listener
) -> None:
    from lba_cli.evaluation.tables import csv_text, markdown_text
    from lba_cli.files import write_text

    first = report.models[0][0].origin
    if json:
        write_text(json, report.as_json(checkpoint=first.model, epoch=first.epoch), replace=force)
        told.say(f"figures of every trial: {json}")
    if csv:
        write_text(csv, csv_text(report), replace=force)
        told.say(f"means and deviations: {csv}")
    if markdown:
        write_text(markdown, markdown_text(report), replace=force)
        told.say(f"the table: {markdown}")
