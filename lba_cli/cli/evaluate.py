"""``lba evaluate``: score checkpoints or feature files, and show the results as tables and files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lba_cli.cli.options import (
    AllTrials,
    Best,
    CheckpointFile,
    CommonOptions,
    DataFolder,
    EmbeddingArithmetic,
    Force,
    command,
    group,
)
from lba_cli.errors import LbaError
from lba_cli.outputs import require_new_files
from lba_cli.processes import torchrun_world
from lba_cli.vocabulary import FeaturePlace, ShotsChoice

if TYPE_CHECKING:
    from lba_cli.evaluation.results import EvaluationResults
    from lba_cli.reporting import Listener

app = group()
EXAMPLES = (
    "lba evaluate --mode all-search",
    "lba evaluate --checkpoint sysu_pretrained.t --data datasets/SYSU-MM01 --mode all --shots both",
    "lba evaluate runs/baseline runs/full --flip --rerank --published --markdown table.md",
    "lba evaluate --trials all --checkpoint runs/regdb --csv figures.csv",
    "lba evaluate runs/baseline-seeds runs/full-seeds --json seeds.json",
    "lba evaluate --features features.npz --protocol-of llcm",
    "lba evaluate --protocol official --json figures.json",
    "lba evaluate runs/baseline runs/full --correspondences",
    "lba evaluate --checkpoint runs/full --verification --json thresholds.json",
)

Models = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="CHECKPOINT",
        help="Checkpoints, run folders or folders of seeds to score. Several are compared with the first one.",
    ),
]
ModeOption = Annotated[
    str | None,
    typer.Option(
        metavar="MODE",
        help="SYSU-MM01: all-search or indoor-search. Other data sets: infrared-to-visible or visible-to-infrared (query to "
        "gallery). all: every mode; auto: the usual ones [evaluation.mode].",
    ),
]
ShotsOption = Annotated[
    ShotsChoice | None,
    typer.Option(
        help="Gallery images per identity and camera: single (1), multi (10) or whole (all); both: single and multi [evaluation.shots]."
    ),
]
ProtocolOption = Annotated[
    str | None,
    typer.Option(
        metavar="PROTOCOL",
        help="How galleries are drawn. community: as in most papers; official: SYSU-MM01's own permutations; released: as in LLCM's "
        "released script, which swaps query and gallery [evaluation.protocol].",
    ),
]
Rerank = Annotated[
    bool | None,
    typer.Option(
        "--rerank",
        help="Also score with k-reciprocal re-ranking [evaluation.rerank, rerank_k1, rerank_k2, rerank_lambda].",
    ),
]
Flip = Annotated[
    bool | None,
    typer.Option("--flip", help="Also score the mean embedding of each image and its mirror image [evaluation.flip]."),
]
FeaturesFrom = Annotated[
    FeaturePlace | None,
    typer.Option(
        help="Also score this feature, where the network retrieves by the other one: pooled, before the neck (batch norm), or neck, "
        "after it [evaluation.features_from]."
    ),
]
Features = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.npz",
        help="Score the features in this file instead of a checkpoint. Scores are cosine similarities, or dot products with "
        "--no-normalize. The file has the arrays features (n, D), identities (n,), modalities (n,) with visible or infrared, "
        "cameras (n,) with -1 for unknown, and paths (n,); optional: dataset, name, trial, trained_on, note.",
    ),
]
ProtocolOf = Annotated[
    str | None,
    typer.Option(
        metavar="DATASET",
        help="The data set whose protocol is used for --features. Default: the one named in the file.",
    ),
]
Normalize = Annotated[
    bool,
    typer.Option(
        "--normalize/--no-normalize",
        help="Whether the rows of --features are scaled to unit length. Scores are dot products of the rows.",
    ),
]
SaveFeatures = Annotated[
    Path | None,
    typer.Option(metavar="FILE.npz", help="Also save the features of the test images, in the format of --features."),
]
Json = Annotated[Path | None, typer.Option(metavar="FILE", help="Also write the results of every draw as JSON.")]
Csv = Annotated[Path | None, typer.Option(metavar="FILE", help="Also write means and standard deviations as CSV.")]
Markdown = Annotated[Path | None, typer.Option(metavar="FILE", help="Also write a Markdown table.")]
WithVerification = Annotated[
    bool,
    typer.Option(
        "--verification",
        help="Also report how well scores tell pairs of the same person from pairs of different people, and which score gives which "
        "rate of false accepts.",
    ),
]
WithCorrespondences = Annotated[
    bool,
    typer.Option(
        "--correspondences",
        help="Also measure how well positions of infrared and visible images are matched. This needs synthetic people with a "
        "truth: lba prepare synthetic --truth [evaluation.pairs, pairs_seed].",
    ),
]
WithPublished = Annotated[bool, typer.Option("--published", help="Also show the published results.")]
OtherTrial = Annotated[
    bool,
    typer.Option("--allow-other-trial", help="Score a model even if it was trained on some of the test identities."),
]


@command(app, *EXAMPLES, distributed=True)
def evaluate(
    common: CommonOptions,
    models: Models = None,
    checkpoint: CheckpointFile = None,
    best: Best = False,
    data: DataFolder = None,
    mode: ModeOption = None,
    shots: ShotsOption = None,
    protocol: ProtocolOption = None,
    trials: AllTrials = None,
    rerank: Rerank = None,
    flip: Flip = None,
    features_from: FeaturesFrom = None,
    precision: EmbeddingArithmetic = None,
    features: Features = None,
    protocol_of: ProtocolOf = None,
    normalize: Normalize = True,
    save_features: SaveFeatures = None,
    json: Json = None,
    csv: Csv = None,
    markdown: Markdown = None,
    published: WithPublished = False,
    correspondences: WithCorrespondences = False,
    verification: WithVerification = False,
    allow_other_trial: OtherTrial = False,
    force: Force = False,
) -> None:
    """Score checkpoints on the test images: rank-1/5/10/20, mAP and mINP.

    The results are means ± standard deviations over the ten random galleries that a protocol draws. With --trials all, they
    are taken over RegDB's trials. Of a folder that lba train --seeds made, they are taken over the seeds, and the differences
    between such folders have an interval.
    """
    names = [*(models or []), *([checkpoint] if checkpoint else [])]
    own = {"a checkpoint": names, "--data": data, "--save-features": save_features, "--trials": trials, "--best": best}
    more = {"--correspondences": correspondences, "--precision": precision}
    _refuse_conflicts(features, needs_network={**own, **more}, needs_features=(protocol_of, not normalize))
    files = {"json": json, "csv": csv, "markdown": markdown}
    outputs = {f"--{kind}": path for kind, path in files.items()}
    require_new_files({**outputs, "--save-features": save_features}, force=force)
    from lba_cli.cli.evaluate_models import EvaluateRequest, score_features, score_models

    section = {"mode": mode, "shots": shots, "protocol": protocol, "rerank": rerank, "flip": flip}
    section = {**section, "features_from": features_from, "precision": precision}
    options = {f"evaluation.{key}": value for key, value in section.items()}
    asked = EvaluateRequest(
        data, common, options, allow_other_trial, save_features, best, correspondences, verification
    )
    if features:
        report = score_features(features, protocol_of, asked, normalize=normalize)
    else:
        report = score_models(names or [None], asked, all_trials=bool(trials))
    if torchrun_world().is_writer:
        _show(report, files, force, published, common.listener)


def _show(
    report: EvaluationResults, files: Mapping[str, Path | None], force: bool, published: bool, listener: Listener
) -> None:
    """Write the files, and print the tables."""
    from lba_cli.cli.console import get_console
    from lba_cli.cli.console_tables import report_tables

    report = _with_published(report, listener) if published else report
    _write_files(report, files, force, listener)
    for table in report_tables(report, get_console().width):
        get_console().print(table)


def _refuse_conflicts(
    features: Path | None, *, needs_network: Mapping[str, object], needs_features: tuple[object, object]
) -> None:
    """Raise an LbaError if options can't be combined.

    ``needs_network`` holds the values, by name, of the options that need a network instead of --features.
    ``needs_features`` says whether --protocol-of and --no-normalize are given, which need --features.
    """
    if features and (given := next(filter(needs_network.get, needs_network), "")):
        raise LbaError(f"--features scores a feature file: leave out {given}")
    protocol_of, not_normalized = needs_features
    if protocol_of and not features:
        raise LbaError("--protocol-of needs --features: a checkpoint is scored by the protocol of its data set")
    if not_normalized and not features:
        raise LbaError("--no-normalize needs --features: the features of a network have unit length")


def _with_published(report: EvaluationResults, listener: Listener) -> EvaluationResults:
    from lba_cli.datasets import get_dataset

    settings = {result.setting for result in report.results}
    rows = tuple(row for row in get_dataset(report.results[0].benchmark).published if row.setting in settings)
    if not rows:
        listener.warn("there are no published results for these settings")
    return replace(report, published=rows)


def _write_files(report: EvaluationResults, paths: Mapping[str, Path | None], force: bool, listener: Listener) -> None:
    from lba_cli.evaluation.result_tables import csv_text, markdown_text
    from lba_cli.files import write_text

    model = report.models[0][0].model
    writers: dict[str, tuple[str, Callable[[], str]]] = {
        "json": ("results of every draw", lambda: report.as_json(checkpoint=model.path, epoch=model.epoch)),
        "csv": ("means and standard deviations", lambda: csv_text(report)),
        "markdown": ("table", lambda: markdown_text(report)),
    }
    for kind, (title, text) in writers.items():
        if path := paths[kind]:
            write_text(path, text(), replace=force)
            listener.say(f"{title}: {path}")
