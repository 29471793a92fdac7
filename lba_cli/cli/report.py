"""``lba visualize report``: everything about a model in one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lba_cli.cli.boundary import guarded
from lba_cli.cli.evaluate import ModeOption, OtherSplit, ProtocolOption, ShotsOption
from lba_cli.cli.options import Assignments, CheckpointFile, ConfigFile, DataFolder, Debug, Force, examples

if TYPE_CHECKING:
    from lba_cli.cli.opening import Opened
    from lba_cli.data.store import ImageSource
    from lba_cli.visualize.report import Subject

EXAMPLES = examples(
    "lba visualize report",
    "lba visualize report --checkpoint runs/full --mode all --shots both --output full.html",
    "lba visualize report --checkpoint sysu_pretrained.t --data datasets/SYSU-MM01 --queries 400",
)


@guarded
def report(
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
    allow_other_split: OtherSplit = False,
    force: Force = False,
    config: ConfigFile = None,
    assignments: Assignments = None,
    debug: Debug = False,
) -> None:
    """Make one HTML page of a model: figures, curves, ranked lists, correspondences, masks and embeddings.

    The page needs no network and stays below 20 MB: of a large data set it shows less, and says so. Correspondences react
    to the pointer and to the keyboard, and ranked lists can be filtered. It has t-SNE where scikit-learn is installed.
    """
    from lba_cli.cli.console import listener
    from lba_cli.cli.console import output as out
    from lba_cli.cli.opening import open_checkpoint
    from lba_cli.outputs import require_new_file
    from lba_cli.visualize.report import SUFFIXES, Bounds, write_report

    require_new_file(output, force=force, suffixes=SUFFIXES)
    options = {"evaluation.mode": mode, "evaluation.shots": shots, "evaluation.protocol": protocol}
    told = listener()
    opened = open_checkpoint(checkpoint, data, config, assignments, options, told)
    source = opened.images(own_split=not allow_other_split)
    bounds = Bounds(queries, top, people, points)
    subject = _subject(opened, source)
    size = write_report(output, subject, source, listener=told, bounds=bounds, seed=seed, force=force)
    out().print(f"{output} is made, {size / 1e6:.1f} MB", markup=False, soft_wrap=True)


def _subject(opened: Opened, source: ImageSource) -> Subject:
    from lba_cli.cli.scoring import trained_on
    from lba_cli.evaluation.report import Origin
    from lba_cli.visualize.report import Subject

    origin = Origin(str(opened.path), trained_on(opened, source))
    return Subject(opened.network, opened.description, origin, opened.run, _records(opened.path))


def _records(checkpoint: Path) -> list[dict[str, Any]] | None:
    """The lines of the run whose folder the checkpoint is in, if it is in one's."""
    from lba_cli.training.folder import RunFolder

    folder = checkpoint.absolute().parent
    run = RunFolder(folder.parent)
    return run.records() if folder.name == "checkpoints" and run.metrics.is_file() else None
