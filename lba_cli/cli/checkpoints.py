"""Open a checkpoint: its network, its configuration, and the data set that it is used on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lba_cli.cli.options import CommonOptions
from lba_cli.compute import own_device
from lba_cli.config import Config, ConfigLayer, DataSection, resolve_config
from lba_cli.data.store import ImageSource
from lba_cli.datasets import DATASETS
from lba_cli.datasets.open import dataset_at, open_data
from lba_cli.errors import ConfigError
from lba_cli.evaluation.leakage import figures_note, find_overlap
from lba_cli.model import TwoStreamNetwork
from lba_cli.model.checkpoint import Checkpoint, Description, read_checkpoint, rebuild_network
from lba_cli.processes import run_on_writer
from lba_cli.reporting import Listener
from lba_cli.training.run_folder import RunFolder, checkpoint_in, newest_run
from lba_cli.value_range import KEY, ValueRange
from lba_cli.vocabulary import Modality

if TYPE_CHECKING:
    from lba_cli.search.embed_paths import EmbeddingRequest

# Keys of the section evaluation whose valid values differ between data sets.
PROTOCOL_KEYS = ("mode", "shots", "protocol")


@dataclass(frozen=True)
class OpenedCheckpoint:
    """A checkpoint that is ready to use: its network is in eval mode, on its device."""

    path: Path
    description: Description
    network: TwoStreamNetwork
    config: Config
    listener: Listener

    def images(self) -> ImageSource:
        """Open the data set at the network's image size."""
        return open_data(self.config.data, self.listener)

    def images_to_score(self, *, allow_trained: bool = False) -> tuple[ImageSource, str]:
        """Open the data set to score the network on it; also return what the reader of the figures has to know.

        A network that was trained on some of the test people is refused unless ``allow_trained``.
        """
        source = self.images()
        overlap = find_overlap(self.description.records(), source, self.listener)
        if not allow_trained:
            overlap.refuse()
        return source, figures_note([overlap])


def open_checkpoint(
    path: Path | None,
    data: Path | None,
    common: CommonOptions,
    options: Mapping[str, Any] | None = None,
    *,
    fixed: Mapping[str, Any] | None = None,
    best: bool = False,
) -> OpenedCheckpoint:
    """Open a checkpoint. The command's configuration starts from the checkpoint's.

    Args:
        path: a file or a run's folder. Default: the newest run.
        data: the folder or store of the data set, if not the one that the network was trained on.
        common, options: the options that every command has, and the command's other options by their config keys.
        fixed: see :meth:`~lba_cli.cli.options.CommonOptions.load`.
        best: take the run's checkpoint with the best mAP instead of the last one.
    """
    path, checkpoint = run_on_writer(lambda: _find_and_read(path, common.listener, best))
    checkpoint = checkpoint if checkpoint.size_is_known else _with_asked_size(path, checkpoint, common)
    description = checkpoint.description
    if not checkpoint.size_is_known:
        common.listener.say(f"{path}: {description.method} checkpoint")
    asked = {"data.root": data and str(data), **(options or {})}
    config = common.load(
        asked,
        base=_config_for(common.layers(asked), description) if data else description.config,
        fixed={"data.height": description.height, "data.width": description.width, **(fixed or {})},
    )
    _require_size(path, (description.height, description.width), config)
    network = rebuild_network(checkpoint).to(own_device(config.run.device, common.listener))
    network.value_range = config.data.value_range
    return OpenedCheckpoint(path, description, network, config, common.listener)


def find_checkpoint(path: Path | None, listener: Listener, *, best: bool = False) -> Path:
    """Find the file that ``--checkpoint`` names: the file itself, or that of a run. Default: the newest run.

    Of a run it is the last checkpoint, as the method's release scores its last epoch, or with ``best`` that of the best mAP.
    """
    run = RunFolder(path) if path else newest_run()
    found = checkpoint_in(run.path, best=best)
    if found != path:
        listener.say(f"checkpoint: {found}{'' if path else _newest_words(run)}")
    return found


def embedding_request(
    paths: Sequence[str],
    modality: Modality,
    checkpoint: Path | None,
    model: Path | None,
    common: CommonOptions,
    *,
    best: bool,
    skip_broken: bool,
    value_range: ValueRange | None = None,
) -> EmbeddingRequest:
    """Open the model to embed images with: a checkpoint, by default the newest run's, or an exported ONNX file.

    ``value_range`` is that of an index whose images they are compared with; by default it is the model's own.
    """
    from lba_cli.search import network_embedder, onnx_embedder
    from lba_cli.search.embed_paths import EmbeddingRequest

    if checkpoint and checkpoint.suffix.lower() == ".onnx":
        raise ConfigError(f"{checkpoint}: name an exported ONNX file with --model, not with --checkpoint")
    if checkpoint and model:
        raise ConfigError("--checkpoint and --model both name a model: leave one out")
    if best and model:
        raise ConfigError("--best takes the best.pt of a run: leave it out with --model")
    if model:
        embedder = onnx_embedder(model)
        embedder.require(modality)
        size = {"data.height": embedder.height, "data.width": embedder.width}
        config = common.load(fixed={**size, KEY: value_range or embedder.value_range})
        _require_size(model, (embedder.height, embedder.width), config)
        embedder = replace(embedder, value_range=config.data.value_range)
    else:
        opened = open_checkpoint(checkpoint, None, common, best=best, fixed={KEY: value_range})
        embedder, config = network_embedder(opened.network, str(opened.path)), opened.config
    return EmbeddingRequest(embedder, modality, paths, config.evaluation.batch_size, skip_broken)


def image_paths(names: Sequence[str], listener: Listener) -> list[str]:
    """Find the images that a command line names, sorted by path, and report what is passed over among them."""
    from lba_cli.search.image_paths import find_images

    found = find_images(names)
    for note in found.notes():
        listener.warn(note)
    return found.paths


def _find_and_read(path: Path | None, listener: Listener, best: bool) -> tuple[Path, Checkpoint]:
    found = find_checkpoint(path, listener, best=best)
    return found, read_checkpoint(found)


def _with_asked_size(path: Path, checkpoint: Checkpoint, common: CommonOptions) -> Checkpoint:
    """Describe a foreign checkpoint with the image size that the command line asks for, because the file doesn't say it."""
    known = checkpoint.description
    size = ConfigLayer.from_options({"data.height": known.height, "data.width": known.width})
    data = resolve_config([size, *common.layers({})]).data
    if (data.height, data.width) == (known.height, known.width):
        common.listener.say(
            f"{path} doesn't say its image size: taking {data.height}×{data.width} (if it was trained at another one: "
            "--set data.height=… --set data.width=…)"
        )
    return replace(checkpoint, description=replace(known, height=data.height, width=data.width))


def _config_for(asked: Sequence[ConfigLayer], description: Description) -> Mapping[str, Any]:
    """Adapt a checkpoint's configuration to the data that a command asks for, by leaving out keys meant for another data set."""
    size = {"height": description.height, "width": description.width}
    named = _data_section([ConfigLayer({"data": size}, "the checkpoint"), *asked])
    spec = dataset_at(named, _data_section([ConfigLayer(description.config, "the checkpoint's configuration")]))
    foreign = {key for other in DATASETS.values() if other is not spec for key in other.options.model_fields}
    if not spec.trials:
        foreign.add("trial")
    config = description.config
    data = {key: value for key, value in config.get("data", {}).items() if key not in {"dataset", *foreign}}
    evaluation = dict(config.get("evaluation", {}))
    if spec.name != config.get("data", {}).get("dataset", spec.name):
        evaluation = {key: value for key, value in evaluation.items() if key not in PROTOCOL_KEYS}
    return {**config, "data": data, "evaluation": evaluation}


def _data_section(layers: Sequence[ConfigLayer]) -> DataSection:
    """Resolve the section ``data`` of some layers alone."""
    return resolve_config([replace(layer, values={"data": layer.values.get("data")}) for layer in layers]).data


def _require_size(path: Path, size: tuple[int, int], config: Config) -> None:
    if (config.data.height, config.data.width) != size:
        raise ConfigError(
            f"{path}: the network takes images of {size[0]}×{size[1]}, but the configuration says "
            f"{config.data.height}×{config.data.width}: leave out data.height and data.width"
        )


def _newest_words(run: RunFolder) -> str:
    runs = run.path.parent
    trials = f", one of the trials in {runs} (lba evaluate --trials all {runs} scores all of them)"
    return f", of the newest run{trials if run.is_trial else ''}"
