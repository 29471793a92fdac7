"""``lba demo``: the whole of it on synthetic people, in a folder of its own."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lba_cli.cli.boundary import guarded
from lba_cli.cli.deferred import commands
from lba_cli.cli.options import Assignments, ConfigFile, Debug, examples

if TYPE_CHECKING:
    from lba_cli.config import Run
    from lba_cli.data.store import ImageSource
    from lba_cli.evaluation.report import Result
    from lba_cli.model import TwoStreamNetwork
    from lba_cli.reporting import Listener
    from lba_cli.training.folder import RunFolder

app = commands()
EXAMPLES = examples("lba demo", "lba demo --output somewhere --set train.seed=1")


@app.command(epilog=EXAMPLES)
@guarded
def demo(
    output: Annotated[Path, typer.Option("--output", metavar="DIR", help="The folder to make.")] = Path("lba-demo"),
    config: ConfigFile = None,
    assignments: Assignments = None,
    debug: Debug = False,
) -> None:
    """Draw people, train the full method on them for minutes, evaluate before and after, and draw the pictures."""
    from lba_cli.cli.console import listener
    from lba_cli.cli.console import output as out
    from lba_cli.cli.tables import figures_table
    from lba_cli.evaluation.report import Report
    from lba_cli.files import write_text
    from lba_cli.model import load_network
    from lba_cli.outputs import require_new_folder
    from lba_cli.training.folder import RunFolder
    from lba_cli.training.loop import train

    started, told = time.monotonic(), listener()
    require_new_folder(output)
    warm_up, folder = RunFolder(output / "warm-up"), RunFolder(output / "run")
    people = {"data.root": str(output / "people")}
    first = _demo_run("demo-warmup.yaml", config, people, assignments)
    run = _demo_run("demo.yaml", config, {**people, "model.pretrained": str(warm_up.last)}, assignments)
    source = _draw_and_prepare(output, run, told)
    untrained = Report((_evaluate(_untrained(first, source), source, run, told),))
    out().print(figures_table(untrained, out().width))
    told.say(f"these are an untrained network's figures; now warming up a {run.model.backbone} by the identity loss")
    with warm_up.locked():
        train(first, source, warm_up, told)
    told.say(f"now training by the method '{run.train.method}'")
    with folder.locked():
        train(run, source, folder, told)
    network = load_network(folder.best)
    trained = Report((_evaluate(network, source, run, told),))
    out().print(figures_table(trained, out().width))
    write_text(output / "untrained.json", untrained.as_json())
    write_text(output / "trained.json", trained.as_json())
    _draw_pictures(output, network, source, folder, run, told)
    before, after = (report.results[0].mean()["rank1"] for report in (untrained, trained))
    out().print(_farewell(output, before, after, time.monotonic() - started), markup=False, soft_wrap=True)


def _demo_run(name: str, config: Path | None, options: dict[str, str], assignments: list[str] | None) -> Run:
    """One of the demo's two runs: its shipped configuration, with ``config`` and ``--set`` laid over it."""
    from importlib.resources import as_file, files

    from lba_cli.settings import Layer, resolve

    with as_file(files("lba_cli") / "configs" / name) as path:
        layers = [Layer.from_file(path)]
    if config:
        layers.append(Layer.from_file(config))
    return resolve([*layers, Layer.from_options(options), Layer.from_assignments(assignments or [])])


def _draw_and_prepare(output: Path, run: Run, told: Listener) -> ImageSource:
    from lba_cli.data.open import open_data
    from lba_cli.data.prepare import prepare
    from lba_cli.data.readers import read_sysu
    from lba_cli.data.store import default_store
    from lba_cli.data.synthetic import write_dataset

    people, data = output / "people", run.data
    write_dataset("small", people, seed=run.train.seed, listener=told)
    store = default_store(people, data.height, data.width)
    prepare(read_sysu(people), store, data.height, data.width, listener=told)
    return open_data(data, told)


def _untrained(run: Run, source: ImageSource) -> TwoStreamNetwork:
    """The network that training starts from."""
    from lba_cli.compute import resolve_device
    from lba_cli.data.samples import identity_classes
    from lba_cli.model.weights import build_network

    classes = len(identity_classes(source.samples))
    size = run.data.height, run.data.width
    network = build_network(run.model.backbone, classes, run.model.pretrained, run.train.seed, size)
    return network.to(resolve_device(run.run.device))


def _evaluate(network: TwoStreamNetwork, source: ImageSource, run: Run, told: Listener) -> tuple[Result, ...]:
    from lba_cli.evaluation.run import evaluate, settings

    results = evaluate(
        network,
        source,
        settings(run.evaluation, source),
        listener=told,
        batch_size=run.evaluation.batch_size,
        workers=run.data.workers,
    )
    return tuple(results)


def _draw_pictures(
    output: Path, network: TwoStreamNetwork, source: ImageSource, folder: RunFolder, run: Run, told: Listener
) -> None:
    from lba_cli.evaluation.run import settings
    from lba_cli.visualize.canvas import save
    from lba_cli.visualize.correspondences import correspondences
    from lba_cli.visualize.curves import curves
    from lba_cli.visualize.masks import masks
    from lba_cli.visualize.ranking import ranking

    (setting, *_) = settings(run.evaluation, source)
    pictures = {
        "correspondences": correspondences(network, source),
        "ranking": ranking(network, source, setting, listener=told),
        "masks": masks(network, source),
        "curves": curves(folder.records(), str(folder.path)),
    }
    for name, figure in pictures.items():
        save(figure, output / f"{name}.png")


def _farewell(output: Path, before: float, after: float, seconds: float) -> str:
    return f"""
Done in {seconds / 60:.1f} minutes: rank-1 {before:.1%} untrained, {after:.1%} trained.
Pictures: {output}/correspondences.png, ranking.png, masks.png, curves.png

What to try next:
  lba evaluate --checkpoint {output}/run --mode all --shots both
  lba visualize report --checkpoint {output}/run
  lba visualize correspondences --checkpoint {output}/run --stage layer4
  lba export --checkpoint {output}/run --format onnx --output {output}/person.onnx
  lba train --config {output}/run/config.yaml --method baseline --output {output}/baseline
With SYSU-MM01 in datasets/SYSU-MM01: lba prepare sysu, then lba train --method full"""
