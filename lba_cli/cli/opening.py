"""From a checkpoint's name to its network, its settings and its data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lba_cli.cli.options import load_config
from lba_cli.compute import own_device
from lba_cli.config import Run
from lba_cli.data.open import dataset_at, open_data
from lba_cli.data.store import ImageSource
from lba_cli.errors import CheckpointError, ConfigError
from lba_cli.evaluation.seen import require_own_split
from lba_cli.model import TwoStreamNetwork
from lba_cli.model.checkpoint import Checkpoint, Description, read_checkpoint, rebuild
from lba_cli.processes import run_on_writer
from lba_cli.reporting import Listener
from lba_cli.training.folder import TRIAL, RunFolder, newest_run
from lba_cli.vocabulary import Dataset, Modality

if TYPE_CHECKING:
    from lba_cli.search.embedder import Embedder

# Settings of the section data that matter to one data set alone.
SETTINGS_OF: dict[Dataset, set[str]] = {
    "regdb": {"trial"},
    "folder": {"split_seed", "test_share", "train_ids", "test_ids"},
}
# Settings of the section evaluation whose words differ between data sets.
WORDS_OF_PROTOCOLS = ("mode", "shots", "protocol")


@dataclass(frozen=True)
class Opened:
    """A checkpoint ready to use: its network is on its device and in eval mode."""

    path: Path
    description: Description
    network: TwoStreamNetwork
    run: Run
    listener: Listener

    def images(self, *, own_split: bool = False) -> ImageSource:
        """The data set, at the network's image size; with ``own_split`` none that tests people the network was trained on.

        Raises:
            DataError: there is no such data set.
        """
        source = open_data(self.run.data, self.listener)
        if own_split:
            require_own_split(self.description, source)
        return source


def open_checkpoint(
    path: Path | None,
    data: Path | None,
    config: Path | None,
    assignments: list[str] | None,
    options: Mapping[str, Any],
    listener: Listener,
) -> Opened:
    """Open a checkpoint (a file, a run's folder, or the newest run's best) with its own settings as the base.

    Raises:
        CheckpointError: there is none, or it is damaged. ConfigError: the settings ask for another image size.
    """
    path, checkpoint = run_on_writer(lambda: _read(path, listener))
    description = checkpoint.description
    run = load_config(
        config,
        assignments,
        {"data.root": data and str(data), **options},
        listener,
        base=_for_data(data, description) if data else description.config,
        fixed={"data.height": description.height, "data.width": description.width},
    )
    _require_size(path, (description.height, description.width), run)
    network = rebuild(checkpoint).to(own_device(run.run.device))
    return Opened(path, description, network, run, listener)


def _read(path: Path | None, listener: Listener) -> tuple[Path, Checkpoint]:
    found = find_checkpoint(path, listener)
    return found, read_checkpoint(found)


def _for_data(root: Path, description: Description) -> Mapping[str, Any]:
    """A checkpoint's settings, for a data set that may be another than it was trained on."""
    dataset = dataset_at(root, description.height, description.width)
    foreign = {"dataset"}.union(*(keys for owner, keys in SETTINGS_OF.items() if owner != dataset))
    config = description.config
    settings = {key: value for key, value in config.get("data", {}).items() if key not in foreign}
    measured = dict(config.get("evaluation", {}))
    if dataset != config.get("data", {}).get("dataset", dataset):
        measured = {key: value for key, value in measured.items() if key not in WORDS_OF_PROTOCOLS}
    return {**config, "data": settings, "evaluation": measured}


def image_paths(names: Sequence[str], listener: Listener) -> list[str]:
    """The images that a command line names, in the order of their paths; how many other files lay there is told.

    Raises:
        DataError: a name means no image.
    """
    from lba_cli.search.images import find_images

    found = find_images(names)
    for note in found.notes():
        listener.warn(note)
    return found.paths


def open_embedder(
    modality: Modality,
    checkpoint: Path | None,
    model: Path | None,
    config: Path | None,
    assignments: list[str] | None,
    listener: Listener,
) -> tuple[Embedder, Run]:
    """What embeds images of ``modality``, from a checkpoint or from an exported ONNX file, and the settings.

    Raises:
        LbaError: both are named, or the one that is named can't be used, or not for this modality.
    """
    from lba_cli.search.embedder import network_embedder, onnx_embedder

    if checkpoint and checkpoint.suffix.lower() == ".onnx":
        raise ConfigError(f"{checkpoint}: an exported ONNX file is named with --model, not with --checkpoint")
    if model is None:
        opened = open_checkpoint(checkpoint, None, config, assignments, {}, listener)
        size = opened.description.height, opened.description.width
        return network_embedder(opened.network, str(opened.path), *size), opened.run
    if checkpoint:
        raise ConfigError("--checkpoint and --model both name the model: leave one out")
    embedder = onnx_embedder(model)
    embedder.require(modality)
    fixed = {"data.height": embedder.height, "data.width": embedder.width}
    run = load_config(config, assignments, {}, listener, fixed=fixed)
    _require_size(model, (embedder.height, embedder.width), run)
    return embedder, run


def _require_size(path: Path, size: tuple[int, int], run: Run) -> None:
    if (run.data.height, run.data.width) != size:
        raise ConfigError(
            f"{path}: its network takes images of {size[0]}×{size[1]}, the settings say "
            f"{run.data.height}×{run.data.width}: leave data.height and data.width out"
        )


def find_checkpoint(path: Path | None, listener: Listener) -> Path:
    """The file that ``--checkpoint`` means: itself, a run folder's best, or the newest run's best."""
    if path is None:
        run = newest_run()
        path = run.best if run.best.is_file() else run.last
        listener.say(f"checkpoint: {path}, of the newest run{_beside(run)}")
    elif path.is_dir() and RunFolder(path).last.is_file():
        run = RunFolder(path)
        path = run.best if run.best.is_file() else run.last
        listener.say(f"checkpoint: {path}")
    elif path.is_dir() and (trials := list(path.glob(f"{TRIAL}*"))):
        raise CheckpointError(
            f"{path}: holds {len(trials)} trials, each a run: name one, such as {min(trials)}; lba evaluate --trials "
            f"all --checkpoint {path} gives the figures of all of them together"
        )
    return path


def _beside(run: RunFolder) -> str:
    """Of a trial: where the others are."""
    runs = run.path.parent
    return f", one of the trials in {runs} (lba evaluate --trials all {runs} takes all)" if run.is_trial else ""
