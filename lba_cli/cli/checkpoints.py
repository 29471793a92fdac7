"""From a checkpoint's name to its network, its configuration and its data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lba_cli.cli.options import CommonOptions
from lba_cli.compute import own_device
from lba_cli.config import Config
from lba_cli.data.store import ImageSource
from lba_cli.datasets import DATASETS
from lba_cli.datasets.open import dataset_at, open_data
from lba_cli.errors import CheckpointError, ConfigError
from lba_cli.evaluation.leakage import require_own_trial
from lba_cli.model import TwoStreamNetwork
from lba_cli.model.checkpoint import Checkpoint, Description, read_checkpoint, rebuild
from lba_cli.processes import run_on_writer
from lba_cli.reporting import Listener
from lba_cli.training.run_folder import TRIAL, RunFolder, newest_run
from lba_cli.vocabulary import Modality

if TYPE_CHECKING:
    from lba_cli.search.embedder import Embedder

# Keys of the section evaluation whose valid words differ between data sets.
PROTOCOL_KEYS = ("mode", "shots", "protocol")


@dataclass(frozen=True)
class OpenedCheckpoint:
    """A checkpoint ready to use: its network is on its device and in eval mode."""

    path: Path
    description: Description
    network: TwoStreamNetwork
    config: Config
    listener: Listener

    def images(self, *, refuse_training_people: bool = False) -> ImageSource:
        """Open the data set at the network's image size.

        Args:
            refuse_training_people: refuse test people whom the network was trained on.

        Raises:
            DataError: there is no such data set, or it tests people whom the network was trained on.
        """
        source = open_data(self.config.data, self.listener)
        if refuse_training_people:
            require_own_trial(self.description, source)
        return source


def open_checkpoint(
    path: Path | None, data: Path | None, common: CommonOptions, options: Mapping[str, Any], listener: Listener
) -> OpenedCheckpoint:
    """Open a checkpoint; the configuration that it was trained with is the base of the present one.

    Args:
        path: a file, or a run's folder; the newest run if None.
        data: the data set, if it is another than the one it was trained on.
        common: the command's ``--config`` and ``--set``.
        options: the command's other options, by dotted keys.
        listener: hears which checkpoint is taken.

    Raises:
        CheckpointError: there is no checkpoint, or it is damaged.
        ConfigError: the configuration asks for another image size than the network's.
    """
    path, checkpoint = run_on_writer(lambda: _read(path, listener))
    description = checkpoint.description
    config = common.load(
        {"data.root": data and str(data), **options},
        listener,
        base=_config_for(data, description) if data else description.config,
        fixed={"data.height": description.height, "data.width": description.width},
    )
    _require_size(path, (description.height, description.width), config)
    network = rebuild(checkpoint).to(own_device(config.run.device))
    return OpenedCheckpoint(path, description, network, config, listener)


def find_checkpoint(path: Path | None, listener: Listener) -> Path:
    """The file that ``--checkpoint`` means: itself, the best of a run's folder, or the best of the newest run."""
    if path is None:
        run = newest_run()
        path = run.best if run.best.is_file() else run.last
        listener.say(f"checkpoint: {path}, of the newest run{_other_trials(run)}")
    elif path.is_dir() and RunFolder(path).last.is_file():
        run = RunFolder(path)
        path = run.best if run.best.is_file() else run.last
        listener.say(f"checkpoint: {path}")
    elif path.is_dir() and (trials := list(path.glob(f"{TRIAL}*"))):
        raise CheckpointError(
            f"{path}: holds {len(trials)} trials, each of which is a run: name one, such as {min(trials)}; lba evaluate "
            f"--trials all --checkpoint {path} scores all of them together"
        )
    return path


def open_embedder(
    modality: Modality, checkpoint: Path | None, model: Path | None, common: CommonOptions, listener: Listener
) -> tuple[Embedder, Config]:
    """Open the model that embeds images of ``modality``: a checkpoint, or an exported ONNX file.

    Returns:
        The embedder and the configuration.

    Raises:
        LbaError: both are named, or the named one can't be used, or not for this modality.
    """
    from lba_cli.search.embedder import network_embedder, onnx_embedder

    if checkpoint and checkpoint.suffix.lower() == ".onnx":
        raise ConfigError(f"{checkpoint}: name an exported ONNX file with --model, not with --checkpoint")
    if model is None:
        opened = open_checkpoint(checkpoint, None, common, {}, listener)
        size = opened.description.height, opened.description.width
        return network_embedder(opened.network, str(opened.path), *size), opened.config
    if checkpoint:
        raise ConfigError("--checkpoint and --model both name the model: leave one out")
    embedder = onnx_embedder(model)
    embedder.require(modality)
    config = common.load({}, listener, fixed={"data.height": embedder.height, "data.width": embedder.width})
    _require_size(model, (embedder.height, embedder.width), config)
    return embedder, config


def image_paths(names: Sequence[str], listener: Listener) -> list[str]:
    """The images that a command line names, sorted by path; other files beside them are reported.

    Raises:
        DataError: a name matches no image.
    """
    from lba_cli.search.image_paths import find_images

    found = find_images(names)
    for note in found.notes():
        listener.warn(note)
    return found.paths


def _read(path: Path | None, listener: Listener) -> tuple[Path, Checkpoint]:
    found = find_checkpoint(path, listener)
    return found, read_checkpoint(found)


def _config_for(root: Path, description: Description) -> Mapping[str, Any]:
    """A checkpoint's configuration, for a data set that may be another than it was trained on."""
    spec = dataset_at(root, description.height, description.width)
    foreign = {key for other in DATASETS.values() if other is not spec for key in other.options.model_fields}
    if not spec.trials:
        foreign.add("trial")
    config = description.config
    data = {key: value for key, value in config.get("data", {}).items() if key not in {"dataset", *foreign}}
    evaluation = dict(config.get("evaluation", {}))
    if spec.name != config.get("data", {}).get("dataset", spec.name):
        evaluation = {key: value for key, value in evaluation.items() if key not in PROTOCOL_KEYS}
    return {**config, "data": data, "evaluation": evaluation}


def _require_size(path: Path, size: tuple[int, int], config: Config) -> None:
    if (config.data.height, config.data.width) != size:
        raise ConfigError(
            f"{path}: its network takes images of {size[0]}×{size[1]}, the configuration says "
            f"{config.data.height}×{config.data.width}: leave out data.height and data.width"
        )


def _other_trials(run: RunFolder) -> str:
    """A hint to the other trials, if the run is one of several."""
    runs = run.path.parent
    return f", one of the trials in {runs} (lba evaluate --trials all {runs} takes all)" if run.is_trial else ""
