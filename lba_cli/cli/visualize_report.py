"""``lba visualize report``: everything about a model in one HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lba_cli.cli.evaluate import ModeOption, OtherTrial, ProtocolOption, ShotsOption
from lba_cli.cli.options import CheckpointFile, CommonOptions, DataFolder, Force

if TYPE_CHECKING:
    from lba_cli.cli.checkpoints import OpenedCheckpoint
    from lba_cli.data.store import ImageSource
    from lba_cli.visualize.report import Subject

EXAMPLES = (
    "lba visualize report",
    "lba visualize report --checkpoint runs/full --mode all --shots both --output full.html",
    "lba visualize report --checkpoint sysu_pretrained.t --data datasets/SYSU-MM01 --queries 400",
)


def report(
    common: CommonOptions,
    checkpoint: CheckpointFile = None,
    data: DataFolder = None,
    output: Annotated[Path, typer.Option("--output", metavar="FILE", help="The HTML file to write.")] = Path(
        "figures/report.html"
    ),
    mode: ModeOption = None,
    shots: ShotsOption = None,
    protocol: ProtocolOption = None,
    queries: Annotated[
        int,
        typer.Option(min=1, max=5000, help="How many ranked lists: half of the hardest queries, half of random ones."),
    ] = 120,
    top: Annotated[int, typer.Option(min=1, max=50, help="How many gallery images per query.")] = 10,
    people: Annotated[int, typer.Option(min=1, max=50, help="How many people to show correspondences of.")] = 8,
    points: Annotated[
        int, typer.Option(min=2, max=5000, help="How many images to show on the map of embeddings.")
    ] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything random.")] = 0,
    allow_other_trial: OtherTrial = False,
    force: Force = False,
) -> None:
    """Write an HTML page about a model: results, curves, ranked lists, correspondences, masks and embeddings.

    The page works offline. It stays below 20 MB by showing fewer images of a large data set, and says so. Correspondences
    react to the pointer and the keyboard, and ranked lists can be filtered. The map of embeddings uses t-SNE if
    scikit-learn is installed (the extra report).
    """
    from lba_cli.cli.checkpoints import open_checkpoint
    from lba_cli.cli.console import print_line
    from lba_cli.outputs import require_new_file
    from lba_cli.visualize.report import SUFFIXES, Bounds, write_report

    require_new_file(output, force=force, suffixes=SUFFIXES)
    options = {"evaluation.mode": mode, "evaluation.shots": shots, "evaluation.protocol": protocol}
    opened = open_checkpoint(checkpoint, data, common, options)
    source = opened.images(refuse_training_people=not allow_other_trial)
    bounds = Bounds(queries, top, people, points)
    subject = _subject(opened, source)
    size = write_report(output, subject, source, listener=common.listener, bounds=bounds, seed=seed, force=force)
    print_line(f"{output} is written, {size / 1e6:.1f} MB")


def _subject(opened: OpenedCheckpoint, source: ImageSource) -> Subject:
    from lba_cli.cli.evaluate_models import trained_on
    from lba_cli.evaluation.results import ScoredModel
    from lba_cli.visualize.report import Subject

    model = ScoredModel(str(opened.path), trained_on(opened, source))
    return Subject(opened.network, opened.description, model, opened.config, _records(opened.path))


def _records(checkpoint: Path) -> list[dict[str, Any]] | None:
    """Read the metrics of the run that the checkpoint belongs to; None if it belongs to none."""
    from lba_cli.training.run_folder import RunFolder

    folder = checkpoint.absolute().parent
    run = RunFolder(folder.parent)
    return run.records() if folder.name == "checkpoints" and run.metrics.is_file() else None
