"""``lba demo``: generate synthetic people, train, evaluate and draw, in a folder of its own."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lba_cli.cli.options import CommonOptions, command, group
from lba_cli.outputs import require_new_folder

if TYPE_CHECKING:
    from lba_cli.config import Config
    from lba_cli.data.store import ImageSource
    from lba_cli.evaluation.results import EvaluationResults
    from lba_cli.model import TwoStreamNetwork
    from lba_cli.reporting import Listener
    from lba_cli.training.run_folder import RunFolder

app = group()
PRESET = "demo"
EXAMPLES = ("lba demo", "lba demo --output elsewhere --set train.seed=1")


@command(app, *EXAMPLES)
def demo(
    common: CommonOptions,
    output: Annotated[Path, typer.Option("--output", metavar="DIR", help="The folder to make.")] = Path("lba-demo"),
) -> None:
    """Try everything on synthetic people: generate, train, evaluate and draw, within minutes.

    The full method is trained after a short warm-up with the identity loss. The network is evaluated before and after.
    """
    from lba_cli.cli.console import print_line
    from lba_cli.files import write_text
    from lba_cli.model import load_network
    from lba_cli.training.loop import train
    from lba_cli.training.run_folder import RunFolder

    started, listener = time.monotonic(), common.listener
    require_new_folder(output)
    warm_up, folder = RunFolder(output / "warm-up"), RunFolder(output / "run")
    people = {"data.root": str(output / "people")}
    warm_up_config = _demo_config("demo-warmup.yaml", common, people)
    config = _demo_config("demo.yaml", common, {**people, "model.pretrained": str(warm_up.last)})
    source = _generate_and_prepare(output, config, listener)
    untrained = _evaluate(_untrained(warm_up_config, source), source, config, listener)
    listener.say(
        f"these are the results of an untrained network; now a {config.model.backbone} is warmed up with the identity loss"
    )
    with warm_up.locked():
        train(warm_up_config, source, warm_up, listener)
    listener.say(f"now the network is trained with the method '{config.train.method}'")
    with folder.locked():
        train(config, source, folder, listener)
    network = load_network(folder.last)
    trained = _evaluate(network, source, config, listener)
    write_text(output / "untrained.json", untrained.as_json())
    write_text(output / "trained.json", trained.as_json())
    _draw_pictures(output, network, source, folder, config, listener)
    before, after = (report.results[0].mean()["rank1"] for report in (untrained, trained))
    print_line(_summary(output, before, after, time.monotonic() - started))


def _demo_config(name: str, common: CommonOptions, options: dict[str, str]) -> Config:
    """Resolve the configuration of a run of the demo: the shipped file ``name``, ``--config``, ``options``, ``--set``."""
    from lba_cli.config import ConfigLayer, resolve_config

    shipped = ConfigLayer.from_file(Path(__file__).parents[1] / "configs" / name)
    return resolve_config([shipped, *common.layers(options)])


def _generate_and_prepare(output: Path, config: Config, listener: Listener) -> ImageSource:
    from lba_cli.data.prepare import prepare
    from lba_cli.data.store import default_store
    from lba_cli.datasets import read_dataset
    from lba_cli.datasets.open import open_data
    from lba_cli.datasets.synthesize import write_synthetic
    from lba_cli.datasets.sysu import SYSU

    people, data = output / "people", config.data
    write_synthetic(SYSU, PRESET, people, seed=config.train.seed, truth=True, listener=listener)
    store = default_store(people, data.height, data.width)
    prepare(read_dataset(people), store, data.height, data.width, listener=listener)
    return open_data(data, listener)


def _untrained(config: Config, source: ImageSource) -> TwoStreamNetwork:
    """Build the network that training starts from, on the configured device."""
    from lba_cli.compute import own_device
    from lba_cli.data.samples import identity_classes
    from lba_cli.model.initial_weights import build_network

    classes = len(identity_classes(source.samples))
    size = config.data.height, config.data.width
    network = build_network(config.model.backbone, classes, config.model.pretrained, config.train.seed, size)
    return network.to(own_device(config.run.device))


def _evaluate(network: TwoStreamNetwork, source: ImageSource, config: Config, listener: Listener) -> EvaluationResults:
    """Score the network, print the table of results, and return the results."""
    from lba_cli.cli.console import get_console
    from lba_cli.cli.console_tables import figures_table
    from lba_cli.evaluation.evaluate import EvaluationOptions, evaluate
    from lba_cli.evaluation.results import EvaluationResults
    from lba_cli.evaluation.setting_choice import choose_settings

    settings = choose_settings(config.evaluation, source)
    options = EvaluationOptions(batch_size=config.evaluation.batch_size, workers=config.data.workers)
    results = EvaluationResults((tuple(evaluate(network, source, settings, listener=listener, options=options)),))
    get_console().print(figures_table(results, get_console().width))
    return results


def _draw_pictures(
    output: Path, network: TwoStreamNetwork, source: ImageSource, folder: RunFolder, config: Config, listener: Listener
) -> None:
    from lba_cli.evaluation.setting_choice import choose_settings
    from lba_cli.visualize.canvas import save
    from lba_cli.visualize.correspondences import correspondences
    from lba_cli.visualize.curves import curves
    from lba_cli.visualize.masks import masks
    from lba_cli.visualize.ranking import ranking

    (setting, *_) = choose_settings(config.evaluation, source)
    pictures = {
        "correspondences": correspondences(network, source),
        "ranking": ranking(network, source, setting, listener=listener),
        "masks": masks(network, source),
        "curves": curves(folder.records(), str(folder.path)),
    }
    for name, figure in pictures.items():
        save(figure, output / f"{name}.png")


def _summary(output: Path, before: float, after: float, seconds: float) -> str:
    return f"""
Done in {seconds / 60:.1f} minutes: rank-1 {before:.1%} untrained, {after:.1%} trained.
Pictures: {output}/correspondences.png (green lines are right), ranking.png, masks.png, curves.png

What to try next:
  lba evaluate --checkpoint {output}/run --mode all --shots both
  lba evaluate --checkpoint {output}/run --correspondences
  lba visualize report --checkpoint {output}/run
  lba visualize correspondences --checkpoint {output}/run --stage layer4
  lba export --checkpoint {output}/run --format onnx --output {output}/person.onnx
  lba train --config {output}/run/config.yaml --method baseline --output {output}/baseline
With SYSU-MM01 in datasets/SYSU-MM01: lba prepare sysu, then lba train --method full"""
