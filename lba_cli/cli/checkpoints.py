"""Open a checkpoint: its network, its configuration, and the data set that the network is used on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

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
from lba_cli.value_range import KEY
from lba_cli.vocabulary import EmbeddingPrecision, Modality

if TYPE_CHECKING:
    from lba_cli.search.embed_paths import EmbeddingRequest
    from lba_cli.search.gallery import IndexDescription

# Keys of the section ``evaluation`` that have different valid values for different data sets.
PROTOCOL_KEYS = ("mode", "shots", "protocol")


class ModelChoice(NamedTuple):
    """The model that embeds images: an exported ONNX file, or a checkpoint (by default, that of the newest run).

    ``best`` and ``precision`` are for checkpoints. Default: the checkpoint's own precision.
    """

    checkpoint: Path | None
    onnx: Path | None
    best: bool
    precision: EmbeddingPrecision | None = None


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
        """Open the data set that the network is scored on. Also return a note for readers of the results, which may be empty.

        Raises:
            DataError: the network was trained on some of the test people, and ``allow_trained`` is false.
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
    """Open a checkpoint. The command's configuration is based on the checkpoint's configuration.

    Args:
        path: a file or a run folder. Default: the newest run.
        data: the folder or store of the data set; None for the data set that the network was trained on.
        common, options: the options that every command has, and the values of the command's other options, by config key.
        fixed: see :meth:`~lba_cli.cli.options.CommonOptions.load`.
        best: whether to open a run's checkpoint with the best mAP instead of its last checkpoint.
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
    """Return the checkpoint that ``path`` names: the file itself, or a file of the run in this folder. Default: the newest run.

    For a run, this is the last checkpoint, because the method's release also scores the last epoch. With ``best``, it is the
    checkpoint with the best mAP. The listener is informed about the chosen file of a run.
    """
    run = RunFolder(path) if path else newest_run()
    found = checkpoint_in(run.path, best=best)
    if found != path:
        listener.say(f"checkpoint: {found}{'' if path else _newest_words(run)}")
    return found


def embedding_request(
    paths: Sequence[str],
    modality: Modality,
    choice: ModelChoice,
    common: CommonOptions,
    *,
    skip_broken: bool,
    compared: IndexDescription | None = None,
) -> EmbeddingRequest:
    """Open the model that embeds the images.

    ``compared`` describes the gallery that the embeddings are compared with: images are read and embedded in the same way. Default: the
    model's own settings.
    """
    from lba_cli.search import network_embedder, onnx_embedder
    from lba_cli.search.embed_paths import EmbeddingRequest

    checkpoint, model = choice.checkpoint, choice.onnx
    value_range = compared.value_range if compared else None
    precision = choice.precision or (compared.precision if compared else None)
    if checkpoint and checkpoint.suffix.lower() == ".onnx":
        raise ConfigError(f"{checkpoint}: name an exported ONNX file with --model, not with --checkpoint")
    if checkpoint and model:
        raise ConfigError("--checkpoint and --model both name a model: leave one out")
    if choice.precision and model:
        raise ConfigError("--precision is for checkpoints, but --model names an ONNX file, which has its own precision")
    if choice.best and model:
        raise ConfigError("--best selects the best.pt of a run, but --model names an ONNX file: leave out --best")
    if model:
        embedder = onnx_embedder(model)
        embedder.require(modality)
        size = {"data.height": embedder.height, "data.width": embedder.width}
        config = common.load(fixed={**size, KEY: value_range or embedder.value_range})
        _require_size(model, (embedder.height, embedder.width), config)
        embedder = replace(embedder, value_range=config.data.value_range)
    else:
        fixed = {KEY: value_range, "evaluation.precision": precision}
        opened = open_checkpoint(checkpoint, None, common, best=choice.best, fixed=fixed)
        config = opened.config
        embedder = network_embedder(opened.network, str(opened.path), config.evaluation.precision)
    return EmbeddingRequest(embedder, modality, paths, config.evaluation.batch_size, skip_broken)


def image_paths(names: Sequence[str], listener: Listener) -> list[str]:
    """Return the paths of the images that ``names`` (files, folders or glob patterns) stand for, sorted.

    The listener is warned about files that are passed over.
    """
    from lba_cli.search.image_paths import find_images

    found = find_images(names)
    for note in found.notes():
        listener.warn(note)
    return found.paths


def _find_and_read(path: Path | None, listener: Listener, best: bool) -> tuple[Path, Checkpoint]:
    found = find_checkpoint(path, listener, best=best)
    return found, read_checkpoint(found)


def _with_asked_size(path: Path, checkpoint: Checkpoint, common: CommonOptions) -> Checkpoint:
    """Return a foreign checkpoint with the image size that the command line sets, because the file doesn't record a size."""
    known = checkpoint.description
    size = ConfigLayer.from_options({"data.height": known.height, "data.width": known.width})
    data = resolve_config([size, *common.layers({})]).data
    if (data.height, data.width) == (known.height, known.width):
        common.listener.say(
            f"{path} doesn't record its image size: {data.height}×{data.width} is assumed. If it was trained at another size, "
            "use --set data.height=… --set data.width=…"
        )
    return replace(checkpoint, description=replace(known, height=data.height, width=data.width))


def _config_for(asked: Sequence[ConfigLayer], description: Description) -> Mapping[str, Any]:
    """Return a checkpoint's configuration without the keys that don't apply to the data set that the command line chooses.

    ``asked`` holds the configuration layers of the command line.
    """
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
    """Resolve only the section ``data`` of ``layers``."""
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
