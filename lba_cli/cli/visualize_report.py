"""``lba visualize report``: everything about a model in one HTML file."""

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
    output: Annotated[Path, typer.Option("--output", metavar="FILE", help="The page.")] = Path("figures/report.html"),
    mode: ModeOption = None,
    shots: ShotsOption = None,
    protocol: ProtocolOption = None,
    queries: Annotated[
        int, typer.Option(min=1, max=5000, help="How many ranked lists: half the hardest, half drawn by the seed.")
    ] = 120,
    top: Annotated[int, typer.Option(min=1, max=50, help="How many gallery images of each list.")] = 10,
    people: Annotated[int, typer.Option(min=1, max=50, help="Of how many people correspondences are shown.")] = 8,
    points: Annotated[int, typer.Option(min=2, max=5000, help="How many images the map of embeddings has.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Of what is drawn at random.")] = 0,
    allow_other_trial: OtherTrial = False,
    force: Force = False,
) -> None:
    """Make one HTML page of a model: figures, curves, ranked lists, correspondences, masks and embeddings.

    The page needs no network and stays below 20 MB: of a large data set it shows less, and says so. Correspondences react
    to the pointer and to the keyboard, and ranked lists can be filtered. It has t-SNE where scikit-learn is installed.
    """
    from lba_cli.cli.checkpoints import open_checkpoint
    from lba_cli.cli.console import get_console, get_listener
    from lba_cli.outputs import require_new_file
    from lba_cli.visualize.report import SUFFIXES, Bounds, write_report

    require_new_file(output, force=force, suffixes=SUFFIXES)
    options = {"evaluation.mode": mode, "evaluation.shots": shots, "evaluation.protocol": protocol}
    listener = get_listener()
    opened = open_checkpoint(checkpoint, data, common, options, listener)
    source = opened.images(refuse_training_people=not allow_other_trial)
    bounds = Bounds(queries, top, people, points)
    subject = _subject(opened, source)
    size = write_report(output, subject, source, listener=listener, bounds=bounds, seed=seed, force=force)
    get_console().print(f"{output} is made, {size / 1e6:.1f} MB", markup=False, soft_wrap=True)


def _subject(opened: OpenedCheckpoint, source: ImageSource) -> Subject:
    from lba_cli.cli.evaluate_models import trained_on
    from lba_cli.evaluation.results import Origin
    from lba_cli.visualize.report import Subject

    origin = Origin(str(opened.path), trained_on(opened, source))
    return Subject(opened.network, opened.description, origin, opened.config, _records(opened.path))


def _records(checkpoint: Path) -> list[dict[str, Any]] | None:
    """The lines of the run whose folder the checkpoint is in, if it is in one's."""
    from lba_cli.training.run_folder import RunFolder

    folder = checkpoint.absolute().parent
    run = RunFolder(folder.parent)
    return run.records() if folder.name == "checkpoints" and run.metrics.is_file() else None
