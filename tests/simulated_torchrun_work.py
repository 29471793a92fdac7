"""What processes of a company do beside commands: each function is given words, as a command would be."""

from pathlib import Path

import torch

from lba_cli import processes
from lba_cli.config import ConfigLayer, resolve_config
from lba_cli.data.store import StoredImages
from lba_cli.errors import DataError
from lba_cli.model import TwoStreamNetwork
from lba_cli.reporting import Silent
from lba_cli.training.loop import Trainer
from lba_cli.training.run_folder import RunFolder
from lba_cli.training.stop_request import StopRequest


def settings_of(assignments):
    """The settings that ``section.key=value`` words make."""
    return resolve_config([ConfigLayer.from_assignments(list(assignments))])


def train_and_keep(folder, *assignments):
    """Train, and keep what this process's network has become as RANK.pt beside the run."""
    run = settings_of(assignments)
    with processes.process_group():
        source, rank = StoredImages(Path(run.data.root)), processes.current().rank
        kept = RunFolder(Path(folder) / "run")
        kept.last.parent.mkdir(parents=True, exist_ok=True)
        trainer = Trainer(run, source, kept, Silent(), pretrained="none")
        trainer.run(StopRequest())
        torch.save(trainer.network.state_dict(), Path(folder) / f"{rank}.pt")


def freeze_statistics():
    """Let batch normalisation go by its running statistics in training too, which then stay as they are."""
    train_mode = TwoStreamNetwork.train

    def frozen(self, mode=True):
        train_mode(self, mode)
        for module in self.modules():
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
                module.eval()
        return self

    TwoStreamNetwork.train = frozen


def train_frozen(folder, *assignments):
    """As :func:`train_and_keep`, with frozen statistics."""
    freeze_statistics()
    train_and_keep(folder, *assignments)


def fail_in_one(how, *words):
    """``lba words…``, in whose second step the second process's loss is no number, or its images can't be read."""
    from lba_cli.cli.app import app

    step = Trainer._step

    def failing(self, batch):
        if processes.current().rank == 1 and self.progress.step == 1:
            if how == "unreadable":
                raise DataError("no such image")
            losses = step(self, batch)
            return {**losses, "total": losses["total"] * float("nan")}
        return step(self, batch)

    Trainer._step = failing
    app(list(words))
