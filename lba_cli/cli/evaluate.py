"""``lba evaluate``: the protocols' figures of a checkpoint, as a table and as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lba_cli.cli.boundary import guarded
from lba_cli.cli.options import Assignments, CheckpointFile, ConfigFile, DataFolder, Debug, Force, examples
from lba_cli.errors import LbaError
from lba_cli.vocabulary import Draw, ModeChoice, ShotsChoice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from lba_cli.evaluation.report import Result

EXAMPLES = examples(
    "lba evaluate --mode all-search",
    "lba evaluate --checkpoint sysu_pretrained.t --data datasets/SYSU-MM01 --mode all --shots both",
    "lba evaluate --protocol official --json figures.json",
)


@guarded
def evaluate(
    checkpoint: CheckpointFile = None,
    data: DataFolder = None,
    mode: Annotated[
        ModeChoice | None,
        typer.Option(help="The gallery's cameras [evaluation.mode].", show_default=False),
    ] = None,
    shots: Annotated[
        ShotsChoice | None,
        typer.Option(help="Gallery images an identity and camera: 1 or 10 [evaluation.shots].", show_default=False),
    ] = None,
    protocol: Annotated[
        Draw | None,
        typer.Option(
            help="Whose gallery draws: the papers' or the data set's [evaluation.protocol].", show_default=False
        ),
    ] = None,
    json: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write every trial's figures there.", show_default=False)
    ] = None,
    force: Force = False,
    config: ConfigFile = None,
    assignments: Assignments = None,
    debug: Debug = False,
) -> None:
    """Score a checkpoint on the test images: rank-1/5/10/20, mAP and mINP, mean ± deviation over ten trials."""
    from lba_cli.cli.console import listener, output
    from lba_cli.cli.opening import open_checkpoint
    from lba_cli.evaluation.report import write_json
    from lba_cli.evaluation.run import evaluate as run_evaluation
    from lba_cli.evaluation.run import settings

    told = listener()
    if json and json.exists() and not (force and json.is_file()):
        raise LbaError(f"{json}: exists already; name another file, or replace it with --force")
    options = {"evaluation.mode": mode, "evaluation.shots": shots, "evaluation.protocol": protocol}
    opened = open_checkpoint(checkpoint, data, config, assignments, options, told)
    section = opened.run.evaluation
    results = run_evaluation(
        opened.network,
        opened.images(),
        settings(section),
        listener=told,
        batch_size=section.batch_size,
        workers=opened.run.data.workers,
    )
    output().print(figures_table(results))
    if json:
        write_json(json, results, checkpoint=str(opened.path), epoch=opened.description.epoch)
        told.say(f"figures of every trial: {json}")


def figures_table(results: Sequence[Result]) -> Table:
    """A row a setting: means ± deviations in percent."""
    from rich import box
    from rich.table import Table

    from lba_cli.evaluation.report import FIGURES

    first = results[0]
    title = f"{first.dataset}, {first.setting.protocol} protocol, {len(first.trials)} trials, in percent"
    table = Table("setting", "query", "gallery", *FIGURES, title=title, box=box.SIMPLE, padding=(0, 1))
    for result in results:
        mean, spread = result.mean(), result.spread()
        cells = [f"{100 * mean[name]:.2f}\n±{100 * spread[name]:.2f}" for name in FIGURES]
        counted = result.trials[0].num_queries
        queries = f"{counted}" if counted == result.num_query else f"{counted}/{result.num_query}"
        table.add_row(f"{result.setting.mode}\n{result.setting.shots}-shot", queries, str(result.num_gallery), *cells)
    return table
