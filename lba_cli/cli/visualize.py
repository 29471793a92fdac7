"""``lba visualize``: pictures of what a network sees and how it was trained."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lba_cli.cli.evaluate import ModeOption, OtherTrial, ProtocolOption, ShotsOption
from lba_cli.cli.options import Best, CheckpointFile, CommonOptions, DataFolder, Force, command, group
from lba_cli.vocabulary import PaperWidth

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from lba_cli.cli.checkpoints import OpenedCheckpoint

app = group()

FIGURES = Path("figures")
Picture = Annotated[
    Path | None,
    typer.Option("--output", metavar="FILE", help="The picture: .png, .svg or .pdf. Default: figures/NAME.png."),
]
People = Annotated[int, typer.Option(min=1, max=100, help="How many people to show, chosen at random by --seed.")]
Identities = Annotated[
    list[int] | None,
    typer.Option("--identity", help="A test identity to show instead of random ones; can be repeated."),
]
Stage = Annotated[Literal["layer3", "layer4"], typer.Option(help="The stage of the network whose features are used.")]
Width = Annotated[
    PaperWidth,
    typer.Option(
        help="The printed width at which the picture's text is legible, in a two-column paper: column (3.3 inches) or page (7)."
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="Random seed for the choice of people and images.")]


@command(
    app,
    "lba visualize correspondences",
    "lba visualize correspondences --identity 6 --identity 10 --stage layer4 --output people.pdf",
)
def correspondences(
    common: CommonOptions,
    checkpoint: CheckpointFile = None,
    best: Best = False,
    data: DataFolder = None,
    output: Picture = None,
    people: People = 4,
    identity: Identities = None,
    stage: Stage = "layer3",
    matches: Annotated[int, typer.Option(min=1, max=500, help="How many of the strongest matches to draw.")] = 20,
    where: Annotated[
        Literal["person", "anywhere"],
        typer.Option(
            help="person: matches of positions on the person (without a truth: not at the image's rim); anywhere: of all positions."
        ),
    ] = "person",
    seed: Seed = 0,
    width: Width = "page",
    force: Force = False,
) -> None:
    """For each person, draw lines from an infrared image to the matching places of two visible images.

    One visible image shows the same person, the other one a different person under the same camera. Of synthetic people with a
    truth (lba prepare synthetic --truth), the lines also show whether a match is right, and rings show where it should be.
    """
    from lba_cli.visualize.correspondences import Matching
    from lba_cli.visualize.correspondences import correspondences as draw
    from lba_cli.visualize.people import PictureOptions

    path = output or FIGURES / "correspondences.png"
    opened = _open(path, force, (checkpoint, best), data, common)
    matching = Matching(stage, matches, opened.config.alignment.temperature, where)
    figure = draw(opened.network, opened.images(), PictureOptions(people, identity, seed, width), matching)
    _save(figure, path, force)


@command(app, "lba visualize ranking", "lba visualize ranking --mode indoor-search --queries 8")
def ranking(
    common: CommonOptions,
    checkpoint: CheckpointFile = None,
    best: Best = False,
    data: DataFolder = None,
    output: Picture = None,
    queries: Annotated[int, typer.Option(min=1, max=100, help="How many queries, chosen at random by --seed.")] = 6,
    identity: Identities = None,
    top: Annotated[
        int | None,
        typer.Option(min=1, max=50, help="How many gallery images per query. Default: 10; 5 with --width column."),
    ] = None,
    mode: ModeOption = None,
    shots: ShotsOption = None,
    draw: Annotated[int, typer.Option(min=0, max=9, help="The number of the random gallery, 0 to 9.")] = 0,
    seed: Seed = 0,
    width: Width = "page",
    force: Force = False,
) -> None:
    """Show queries with their highest-ranked gallery images.

    Correct matches have a solid green frame (✓), wrong ones a dashed orange frame (✗).
    """
    from lba_cli.evaluation.setting_choice import choose_settings
    from lba_cli.visualize.people import PictureOptions
    from lba_cli.visualize.ranking import ranking as draw_ranking

    path = output or FIGURES / "ranking.png"
    options = {"evaluation.mode": mode, "evaluation.shots": shots}
    opened = _open(path, force, (checkpoint, best), data, common, options)
    source, note = opened.images_to_score()
    if note:
        opened.listener.warn(note)
    figure = draw_ranking(
        opened.network,
        source,
        choose_settings(opened.config.evaluation, source)[0],
        PictureOptions(queries, identity, seed, width),
        listener=opened.listener,
        top=top or (10 if width == "page" else 5),
        draw=draw,
        workers=opened.config.data.workers,
    )
    _save(figure, path, force)


@command(app, "lba visualize masks", "lba visualize masks --stage layer4 --people 6")
def masks(
    common: CommonOptions,
    checkpoint: CheckpointFile = None,
    best: Best = False,
    data: DataFolder = None,
    output: Picture = None,
    people: People = 4,
    identity: Identities = None,
    stage: Stage = "layer3",
    seed: Seed = 0,
    width: Width = "page",
    force: Force = False,
) -> None:
    """Show where the network sees a person, and which parts of the person two images have in common."""
    from lba_cli.visualize.masks import masks as draw
    from lba_cli.visualize.people import PictureOptions

    path = output or FIGURES / "masks.png"
    opened = _open(path, force, (checkpoint, best), data, common)
    options = PictureOptions(people, identity, seed, width)
    temperature = opened.config.alignment.temperature
    figure = draw(opened.network, opened.images(), options, stage=stage, temperature=temperature)
    _save(figure, path, force)


@command(
    app,
    "lba visualize curves",
    "lba visualize curves --run runs/paper --output curves.svg",
    "lba visualize curves --run runs/full-seeds",
)
def curves(
    common: CommonOptions,
    run: Annotated[
        Path | None,
        typer.Option(
            "--run",
            metavar="RUN",
            help="The folder of the run, or of runs with several seeds. Default: the newest run.",
        ),
    ] = None,
    output: Picture = None,
    width: Width = "page",
    force: Force = False,
) -> None:
    """Plot a run's losses, learning rate, retrieval results and CMC.

    Of a folder of seeds, the mean over the seeds is drawn in a band from the least to the largest value.
    """
    from lba_cli.training.run_folder import RunFolder, newest_run, series_runs
    from lba_cli.visualize.canvas import require_new_picture
    from lba_cli.visualize.curves import curves as draw
    from lba_cli.visualize.curves import curves_of_seeds

    path = output or FIGURES / "curves.png"
    require_new_picture(path, force=force)
    common.load()
    folder = RunFolder(run) if run else newest_run()
    if not run:
        common.listener.say(f"run: {folder.path}, the newest")
    seeds = [each for each in series_runs(folder.path) if not each.is_trial]
    runs = {str(each.path): each.records() for each in seeds or [folder]}
    name = str(folder.path)
    figure = curves_of_seeds(runs, name, width=width) if seeds else draw(runs[name], name, width=width)
    evaluations = [record["evaluation"] for records in runs.values() for record in records if "evaluation" in record]
    whose = "these runs'" if seeds else "this run's"
    for note in dict.fromkeys(evaluation.get("note") for evaluation in evaluations):
        if note:
            common.listener.warn(f"{whose} figures: {note}")
    _save(figure, path, force)


@command(
    app,
    "lba visualize report",
    "lba visualize report --checkpoint runs/full --mode all --shots both --output full.html",
    "lba visualize report --checkpoint sysu_pretrained.t --data datasets/SYSU-MM01 --queries 400",
)
def report(
    common: CommonOptions,
    checkpoint: CheckpointFile = None,
    best: Best = False,
    data: DataFolder = None,
    output: Annotated[Path, typer.Option("--output", metavar="FILE", help="The HTML file to write.")] = Path(
        "figures/report.html"
    ),
    mode: ModeOption = None,
    shots: ShotsOption = None,
    protocol: ProtocolOption = None,
    queries: Annotated[
        int,
        typer.Option(
            min=1, max=5000, help="How many ranked lists: half for the hardest queries, half for random ones."
        ),
    ] = 120,
    top: Annotated[int, typer.Option(min=1, max=50, help="How many gallery images per query.")] = 10,
    people: Annotated[int, typer.Option(min=1, max=50, help="How many people to show correspondences for.")] = 8,
    points: Annotated[
        int, typer.Option(min=2, max=5000, help="How many images to show on the map of embeddings.")
    ] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Random seed.")] = 0,
    allow_other_trial: OtherTrial = False,
    force: Force = False,
) -> None:
    """Write an HTML page about a model: results, curves, ranked lists, correspondences, masks and embeddings.

    The page works offline. To stay below 20 MB, it shows fewer images of a large data set, and says so. Correspondences
    react to the pointer and the keyboard, and ranked lists can be filtered. The map of embeddings uses t-SNE if
    scikit-learn is installed (the extra report).
    """
    from lba_cli.cli.checkpoints import open_checkpoint
    from lba_cli.cli.console import print_line
    from lba_cli.cli.evaluate_models import scored_model
    from lba_cli.outputs import require_new_file
    from lba_cli.visualize.report import SUFFIXES, Bounds, Subject, write_report

    require_new_file(output, force=force, suffixes=SUFFIXES)
    options = {"evaluation.mode": mode, "evaluation.shots": shots, "evaluation.protocol": protocol}
    opened = open_checkpoint(checkpoint, data, common, options, best=best)
    source, note = opened.images_to_score(allow_trained=allow_other_trial)
    bounds = Bounds(queries, top, people, points)
    model = scored_model(str(opened.path), opened, source)
    subject = Subject(opened.network, opened.description, model, opened.config, _records(opened.path), note)
    size = write_report(output, subject, source, listener=common.listener, bounds=bounds, seed=seed, force=force)
    print_line(f"{output} is written, {size / 1e6:.1f} MB")


def _open(
    path: Path,
    force: bool,
    checkpoint: tuple[Path | None, bool],
    data: Path | None,
    common: CommonOptions,
    options: Mapping[str, Any] | None = None,
) -> OpenedCheckpoint:
    """Open a checkpoint for a picture, after checking that the picture can be written to ``path``.

    ``checkpoint`` holds the values of ``--checkpoint`` and ``--best``.
    """
    from lba_cli.cli.checkpoints import open_checkpoint
    from lba_cli.visualize.canvas import require_new_picture

    require_new_picture(path, force=force)
    file, best = checkpoint
    return open_checkpoint(file, data, common, options, best=best)


def _save(figure: Figure, path: Path, force: bool) -> None:
    from lba_cli.cli.console import print_line
    from lba_cli.visualize.canvas import save

    save(figure, path, force=force)
    print_line(f"{path} is drawn")


def _records(checkpoint: Path) -> list[dict[str, Any]] | None:
    """Return the metrics of the run that ``checkpoint`` belongs to; None if the checkpoint isn't in a run folder."""
    from lba_cli.training.run_folder import RunFolder

    folder = checkpoint.absolute().parent
    run = RunFolder(folder.parent)
    return run.records() if folder.name == "checkpoints" and run.metrics.is_file() else None
