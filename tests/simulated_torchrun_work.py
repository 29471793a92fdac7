"""Functions that simulated processes run instead of a command; like a command, each takes words."""

import itertools
import time
from pathlib import Path

import torch

from lba_cli import processes
from lba_cli.config import ConfigLayer, resolve_config
from lba_cli.data.store import StoredImages
from lba_cli.errors import DataError
from lba_cli.model import TwoStreamNetwork
from lba_cli.reporting import Silent
from lba_cli.search.partial_embedding import PartialEmbedding
from lba_cli.training.loop import Trainer
from lba_cli.training.run_folder import RunFolder
from lba_cli.training.step import TrainingStep
from lba_cli.training.stop_request import StopRequest


def config_of(assignments):
    """Resolve ``section.key=value`` words to a config."""
    return resolve_config([ConfigLayer.from_assignments(list(assignments))])


def train_and_save(folder, *assignments):
    """Train, and save this process's network as RANK.pt beside the run."""
    config = config_of(assignments)
    with processes.process_group():
        source, rank = StoredImages(Path(config.data.root)), processes.current().rank
        folder_of_run = RunFolder(Path(folder) / "run")
        folder_of_run.last.parent.mkdir(parents=True, exist_ok=True)
        trainer = Trainer(config, source, folder_of_run, Silent(), pretrained="none")
        trainer.run(StopRequest())
        torch.save(trainer.network.state_dict(), Path(folder) / f"{rank}.pt")


def freeze_statistics():
    """Let batch normalisation use its running statistics in training too, so that they don't change."""
    train_mode = TwoStreamNetwork.train

    def frozen(self, mode=True):
        train_mode(self, mode)
        for module in self.modules():
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
                module.eval()
        return self

    TwoStreamNetwork.train = frozen


def train_frozen(folder, *assignments):
    """Do the same as :func:`train_and_save`, with frozen statistics."""
    freeze_statistics()
    train_and_save(folder, *assignments)


def fail_in_one(how, *words):
    """Run ``lba words…``; in the second step of the second process the loss is NaN, or the images can't be read."""
    from lba_cli.cli.app import app

    step, calls = TrainingStep.__call__, itertools.count()

    def failing(self, *batch):
        if processes.current().rank == 1 and next(calls) == 1:
            if how == "unreadable":
                raise DataError("no such image")
            values = step(self, *batch)
            values.losses["total"] = values.losses["total"] * float("nan")
            return values
        return step(self, *batch)

    TrainingStep.__call__ = failing
    app(list(words))


def embed_slowly(*words):
    """Run ``lba words…``, with a pause after each batch."""
    from lba_cli.cli.app import app

    add = PartialEmbedding.add

    def slow(self, batch):
        add(self, batch)
        time.sleep(0.5)

    PartialEmbedding.add = slow
    app(list(words))
