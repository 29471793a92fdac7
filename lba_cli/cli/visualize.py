"""``lba visualize``: pictures of what a network sees."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lba_cli.cli.lazy_commands import commands
from lba_cli.cli.options import CheckpointFile, CommonOptions, DataFolder, Force, command
from lba_cli.cli.visualize_report import EXAMPLES as REPORT_EXAMPLES
from lba_cli.cli.visualize_report import report
from lba_cli.vocabulary import PaperWidth, Shots

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from lba_cli.cli.checkpoints import OpenedCheckpoint

app = commands()

command(app, *REPORT_EXAMPLES)(report)

FIGURES = Path("figures")
Picture = Annotated[
    Path | None,
    typer.Option(
        "--output",
        metavar="FILE",
        help="The picture: .png, .svg or .pdf; default: figures/NAME.png.",
        show_default=False,
    ),
]
People = Annotated[int, typer.Option(min=1, max=100, help="How many people, chosen by the seed.")]
Identities = Annotated[
    list[int] | None,
    typer.Option(
        "--identity", help="A test identity to show, instead of chosen ones; may be repeated.", show_default=False
    ),
]
Stage = Annotated[Literal["layer3", "layer4"], typer.Option(help="Whose features are matched.")]
Width = Annotated[
    PaperWidth, typer.Option(help="Of a two-column paper, for which type is legible: a column of 3.3 inches, or 7.")
]
Seed = Annotated[int, typer.Option(min=0, help="Of the choice of people and images.")]


@command(
    app,
    "lba visualize correspondences",
    "lba visualize correspondences --identity 6 --identity 10 --stage layer4 --output people.pdf",
)
def correspondences(
    common: CommonOptions,
    checkpoint: CheckpointFile = None,
    data: DataFolder = None,
    output: Picture = None,
    people: People = 4,
    identity: Identities = None,
    stage: Stage = "layer3",
    matches: Annotated[int, typer.Option(min=1, max=500, help="How many of the strongest matches are drawn.")] = 20,
    seed: Seed = 0,
    width: Width = "page",
    force: Force = False,
) -> None:
    """Join places of an infrared image with where the network finds them in a visible one, and with another person."""
    from lba_cli.visualize.correspondences import correspondences as draw

    path = output or FIGURES / "correspondences.png"
    opened = _open(path, force, checkpoint, data, common)
    temperature = opened.config.alignment.temperature
    figure = draw(
        opened.network,
        opened.images(),
        people=people,
        identities=identity,
        stage=stage,
        matches=matches,
        temperature=temperature,
        seed=seed,
        width=width,
    )
    _save(figure, path, force)


@command(app, "lba visualize ranking", "lba visualize ranking --mode indoor-search --queries 8")
def ranking(
    common: CommonOptions,
    checkpoint: CheckpointFile = None,
    data: DataFolder = None,
    output: Picture = None,
    queries: Annotated[int, typer.Option(min=1, max=100, help="How many queries, chosen by the seed.")] = 6,
    identity: Identities = None,
    top: Annotated[
        int | None,
        typer.Option(
            min=1, max=50, help="How many gallery images of each list; default: 10, in a column 5.", show_default=False
        ),
    ] = None,
    mode: Annotated[
        str | None,
        typer.Option(help="SYSU-MM01: the gallery's cameras; elsewhere query-to-gallery.", show_default=False),
    ] = None,
    shots: Annotated[
        Shots | None,
        typer.Option(help="Gallery images an identity and camera: 1, 10 or all.", show_default=False),
    ] = None,
    trial: Annotated[int, typer.Option(min=0, max=9, help="Which trial's gallery.")] = 0,
    seed: Seed = 0,
    width: Width = "page",
    force: Force = False,
) -> None:
    """Show queries with the first of their ranked gallery, right ones in solid green frames (✓), wrong ones in dashed orange (✗)."""
    from lba_cli.evaluation.setting_choice import choose_settings
    from lba_cli.visualize.ranking import ranking as draw

    path = output or FIGURES / "ranking.png"
    options = {"evaluation.mode": mode, "evaluation.shots": shots}
    opened = _open(path, force, checkpoint, data, common, options)
    source = opened.images(refuse_training_people=True)
    figure = draw(
        opened.network,
        source,
        choose_settings(opened.config.evaluation, source)[0],
        listener=opened.listener,
        queries=queries,
        top=top or (10 if width == "page" else 5),
        trial=trial,
        seed=seed,
        width=width,
        identities=identity,
        workers=opened.config.data.workers,
    )
    _save(figure, path, force)


@command(app, "lba visualize masks", "lba visualize masks --stage layer4 --people 6")
def masks(
    common: CommonOptions,
    checkpoint: CheckpointFile = None,
    data: DataFolder = None,
    output: Picture = None,
    people: People = 4,
    identity: Identities = None,
    stage: Stage = "layer3",
    seed: Seed = 0,
    width: Width = "page",
    force: Force = False,
) -> None:
    """Show where the network sees a person, and where two images of the person both show it."""
    from lba_cli.visualize.masks import masks as draw

    path = output or FIGURES / "masks.png"
    opened = _open(path, force, checkpoint, data, common)
    temperature = opened.config.alignment.temperature
    figure = draw(
        opened.network,
        opened.images(),
        people=people,
        identities=identity,
        stage=stage,
        temperature=temperature,
        seed=seed,
        width=width,
    )
    _save(figure, path, force)


@command(app, "lba visualize curves", "lba visualize curves --run runs/paper --output curves.svg")
def curves(
    common: CommonOptions,
    run: Annotated[
        Path | None,
        typer.Option("--run", metavar="RUN", help="The run's folder; default: the newest.", show_default=False),
    ] = None,
    output: Picture = None,
    width: Width = "page",
    force: Force = False,
) -> None:
    """Plot a run's losses, learning rate, retrieval figures and CMC."""
    from lba_cli.cli.console import get_listener
    from lba_cli.training.run_folder import RunFolder, newest_run
    from lba_cli.visualize.canvas import require_new_picture
    from lba_cli.visualize.curves import curves as draw

    path = output or FIGURES / "curves.png"
    require_new_picture(path, force=force)
    common.load({}, get_listener())
    folder = RunFolder(run) if run else newest_run()
    if not run:
        get_listener().say(f"run: {folder.path}, the newest")
    _save(draw(folder.records(), str(folder.path), width=width), path, force)


def _open(
    path: Path,
    force: bool,
    checkpoint: Path | None,
    data: Path | None,
    common: CommonOptions,
    options: Mapping[str, Any] | None = None,
) -> OpenedCheckpoint:
    """Open a checkpoint for a picture at ``path``, which is refused before the work if it can't be written."""
    from lba_cli.cli.checkpoints import open_checkpoint
    from lba_cli.cli.console import get_listener
    from lba_cli.visualize.canvas import require_new_picture

    require_new_picture(path, force=force)
    return open_checkpoint(checkpoint, data, common, options or {}, get_listener())


def _save(figure: Figure, path: Path, force: bool) -> None:
    from lba_cli.cli.console import get_console
    from lba_cli.visualize.canvas import save

    save(figure, path, force=force)
    get_console().print(f"{path} is drawn", markup=False, soft_wrap=True)
