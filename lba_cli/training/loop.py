"""The training loop: epochs of steps, figures, checkpoints."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import closing, nullcontext
from typing import Any, NoReturn

import torch
from torch import Tensor

from lba_cli import processes
from lba_cli.alignment import Pairs, sample_pairs
from lba_cli.compute import arithmetic, memory_kept, own_device
from lba_cli.config import Config
from lba_cli.data.augmentation import Augmentation
from lba_cli.data.device_cache import DeviceCache, fits
from lba_cli.data.loaders import StepPositions, TrainingBatch, training_batches
from lba_cli.data.sampler import IdentitySampler
from lba_cli.data.store import ImageSource
from lba_cli.errors import Interrupted
from lba_cli.evaluation.evaluate import EvaluationOptions, evaluate
from lba_cli.evaluation.scoring import require_scorable
from lba_cli.evaluation.setting_choice import selection_setting
from lba_cli.methods.objective import Objective
from lba_cli.model.checkpoint import Checkpoint
from lba_cli.model.initial_weights import build_network
from lba_cli.randomness import Stream, torch_generator
from lba_cli.reporting import Listener
from lba_cli.training.checkpoint_writer import Keeper
from lba_cli.training.distributed import say_who, shared_statistics, synchronized
from lba_cli.training.loss_meter import PendingLosses, require_finite
from lba_cli.training.run_folder import RunFolder
from lba_cli.training.state import Progress, require_possible, restore, settle, snapshot
from lba_cli.training.step import TrainingStep
from lba_cli.training.stop_request import StopRequest, stop_between_steps
from lba_cli.training.tensorboard_log import event_writer

READ_BACK_STEPS = 10


def train(
    config: Config,
    source: ImageSource,
    folder: RunFolder,
    listener: Listener,
    state: Checkpoint | None = None,
    *,
    again: bool = False,
) -> Progress:
    """Train a network as ``config`` says and keep it in ``folder``.

    Every epoch ends with a line in ``metrics.jsonl`` and the checkpoint ``last.pt``; ``best.pt`` is the network with
    the highest mAP on the test images in the data set's most usual setting (SYSU-MM01: all-search, single-shot, mean of
    ten trials), the field's habit. Of the processes that have joined (:mod:`lba_cli.processes`), all call this with the same
    arguments; one of them writes, and all end with the same weights and statistics.

    Args:
        config, source: the settings and the images.
        folder: of the run; the caller holds its lock where other processes could train into it (:meth:`RunFolder.locked`).
        listener: told of the progress.
        state: of this run, to go on from.
        again: whether the folder's run, which has no state yet, is begun again; otherwise ``folder`` must be new.

    Raises:
        DataError: the data can't be trained on. TrainingError: a loss isn't finite, or the run can't be resumed.
        Interrupted: SIGINT or SIGTERM came; the state is saved.
    """
    config = settle(config, source.dataset)
    trainer = Trainer(config, source, folder, listener, pretrained="none" if state else config.model.pretrained)
    source.check(range(len(source.samples)), listener)
    trainer.load_images()
    if state:
        again = True
        trainer.progress = restore(state, trainer.network, trainer.step.optimizer, source, str(folder.path))
        require_possible(trainer.progress, config.train.epochs, trainer.batches.steps, str(folder.path))
    if again:
        epoch, best = trainer.progress.epoch, trainer.progress.best
        trainer.progress.best = processes.run_on_writer(lambda: folder.go_on(config, epoch, best, listener))
    say_who(trainer.batches, config.train, trainer.images_a_step, listener)
    claims = processes.current().is_writer and not again
    with folder.claimed(config) if claims else nullcontext(), stop_between_steps() as stop:
        trainer.run(stop)
    return trainer.progress


class Trainer:
    """A run under way: network, optimizer, data and progress."""

    def __init__(
        self, config: Config, source: ImageSource, folder: RunFolder, listener: Listener, *, pretrained: str
    ) -> None:
        recipe, data, world = config.train, config.data, processes.current()
        self.config, self.source, self.folder, self.listener = config, source, folder, listener
        self.device = own_device(config.run.device)
        self.batches = IdentitySampler(
            source.samples,
            recipe.identities,
            recipe.instances,
            recipe.seed,
            steps=recipe.steps_per_epoch,
            skip_incomplete=data.skip_incomplete,
            rank=world.rank,
            size=world.size,
        )
        self.images_a_step = 2 * recipe.identities * recipe.instances * world.size
        if self.batches.incomplete:
            listener.warn(f"{len(self.batches.incomplete)} training identities lack a modality and are left out")
        self.can_evaluate = any(sample.split == "test" for sample in source.samples)
        if self.can_evaluate:
            require_scorable(source)
        else:
            listener.warn(
                f"{source.name}: no test images; the run goes without evaluation, and best.pt is its last state"
            )
        self.augmentation = Augmentation(data.pad, data.flip, data.erase)
        size = config.data.height, config.data.width
        network = build_network(config.model.backbone, len(self.batches.classes), pretrained, recipe.seed, size)
        if recipe.sync_batchnorm:
            network = synchronized(network, self.device, listener)
        self.network = network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        alignment = config.alignment
        objective = Objective(
            recipe.method,
            alignment.weighting,
            weights=config.loss.weights(),
            temperature=alignment.temperature,
            margin=recipe.triplet_margin,
            dense_margin=alignment.margin,
        )
        self.step = TrainingStep(self.network, objective, recipe, self.device)
        self.device_cache: DeviceCache | None = None
        self.progress = Progress()
        self.keeper = Keeper(folder, recipe.checkpoint_minutes, self._snapshot)
        self._timing: dict[str, float] = {}

    def load_images(self) -> None:
        """Bring the training images onto the device, if the settings ask for it or they fit there."""
        data, own = self.config.data, self.images_a_step // processes.current().size
        if fits(self.source, self.device, own) if data.device_cache is None else data.device_cache:
            self.device_cache = DeviceCache(
                self.source, self.device, data.pad, workers=data.workers, listener=self.listener
            )

    def run(self, stop: StopRequest) -> None:
        """Train from the present position to the last epoch."""
        epochs = range(self.progress.epoch, self.config.train.epochs)
        with (
            closing(self._batches()) as batches,
            event_writer(
                self.folder.path, self.config.train.tensorboard and processes.current().is_writer
            ) as write_events,
            arithmetic(self.config.train.precision, self.device),
            self.listener.task("training", self.config.train.epochs, "epochs", done=self.progress.epoch) as whole,
        ):
            for _ in epochs:
                self._time_epoch(batches, stop)
                record = self._record(stop)
                self._finish_epoch(record)
                write_events(record)
                whole.advance()
                if self.progress.epoch < self.config.train.epochs:
                    self._stop_if_asked(stop)
            shared_statistics(self.network)

    def _batches(self) -> Generator[TrainingBatch]:
        """All the batches from the present position to the run's end."""
        first = self.progress.epoch * self.batches.steps + self.progress.step
        positions = StepPositions(self.batches.steps, range(first, self.config.train.epochs * self.batches.steps))
        data, seed = self.config.data, self.config.train.seed
        if self.device_cache:
            return self.device_cache.batches(self.batches, self.augmentation, seed, positions)
        on_gpu = self.device.type == "cuda"
        return training_batches(
            self.source, self.batches, self.augmentation, seed, positions, workers=data.workers, pin=on_gpu
        )

    def _time_epoch(self, batches: Iterator[TrainingBatch], stop: StopRequest) -> None:
        """Take the steps that are left of this epoch, and note how long they took."""
        started, first = time.perf_counter(), self.progress.step
        self._epoch(batches, stop)
        seconds, steps = time.perf_counter() - started, self.progress.step - first
        self._timing = {
            "epoch": self.progress.epoch,
            "steps": steps,
            "seconds": round(seconds, 3),
            "images_per_second": round(self.images_a_step * steps / seconds, 1),
        }

    def _epoch(self, batches: Iterator[TrainingBatch], stop: StopRequest) -> None:
        """Take the steps that are left of this epoch; keep the state in between, now and then."""
        self.step.set_rates(self.progress.epoch)
        self.network.train()
        steps, pending = self.batches.steps, PendingLosses(self.progress)
        title = f"epoch {self.progress.epoch + 1}/{self.config.train.epochs}"
        with memory_kept(self.device), self.listener.task(title, steps, "steps", done=self.progress.step) as bar:
            while self.progress.step < steps:
                pending.add(self._step(next(batches)))
                self.progress.step += 1
                asked, due = processes.all_reduce_max(stop.signal, self.keeper.is_due())
                saving = bool(asked) or (self.progress.step < steps and bool(due))
                if self.progress.step % READ_BACK_STEPS == 0 or self.progress.step == steps or saving:
                    taken, means = pending.read_back()
                    bar.advance(taken, **means, learning_rate=self.step.rate, images_a_step=self.images_a_step)
                if asked:
                    self._save_and_stop(asked)
                if saving:
                    self._save()

    def _step(self, batch: TrainingBatch) -> dict[str, Tensor]:
        return self.step(batch, self._pairs())

    def _pairs(self) -> tuple[Pairs, Pairs]:
        """This step's partners for layer3 and for layer4."""
        recipe = self.config.train
        address = self.batches.address(self.progress.epoch, self.progress.step)
        generator = torch_generator(recipe.seed, Stream.PAIRS, *address)
        layer3, layer4 = (sample_pairs(recipe.identities, recipe.instances, generator) for _ in range(2))
        return layer3, layer4

    def _record(self, stop: StopRequest) -> dict[str, Any]:
        """This epoch's line in ``metrics.jsonl``, evaluated where it is due."""
        recipe, progress = self.config.train, self.progress
        self._stop_if_asked(stop)  # a signal came after the last step
        require_finite(self.network, progress)
        last = progress.epoch + 1 == recipe.epochs
        due = last or (recipe.evaluate_every and (progress.epoch + 1) % recipe.evaluate_every == 0)
        record: dict[str, Any] = {
            "epoch": progress.epoch,
            "learning_rate": self.step.rate,
            "losses": {name: total / self.batches.steps for name, total in progress.sums.items()},
        }
        if due and self.can_evaluate:
            with stop.at_once():
                record["evaluation"] = self._evaluate()
            self._stop_if_asked(stop)  # the epoch's steps are kept; resuming starts with its evaluation
        return record

    def _evaluate(self) -> dict[str, Any]:
        """Figures of the network as it is; the whole CMC with them."""
        section = self.config.evaluation
        shared_statistics(self.network)
        (result,) = evaluate(
            self.network,
            self.source,
            [selection_setting(self.source)],
            listener=self.listener,
            options=EvaluationOptions(batch_size=section.batch_size, workers=self.config.data.workers),
        )
        self.progress.figures = result.mean()
        return {**self.progress.figures, "cmc": result.mean_cmc()}

    def _finish_epoch(self, record: dict[str, Any]) -> None:
        """Write the epoch's line, and the checkpoints."""
        figures, epoch = record.get("evaluation"), self.progress.epoch
        better = figures is not None and figures["mAP"] > self.progress.best
        if better and figures:
            self.progress.best = figures["mAP"]
        self.progress.begin_epoch(epoch + 1)
        self.keeper.keep_epoch(record, self._timing, best=better or not self.can_evaluate)
        found = f", mAP {figures['mAP']:.2%}, rank-1 {figures['rank1']:.2%}" if figures else ""
        total = record["losses"]["total"]
        speed = f"{self._timing['images_per_second']:.0f} images/s"
        self.listener.say(
            f"epoch {epoch + 1}/{self.config.train.epochs}: loss {total:.3f}{found}, "
            f"learning rate {record['learning_rate']:g}, {speed}"
        )

    def _snapshot(self, resumable: bool) -> Checkpoint:
        optimizer = self.step.optimizer if resumable else None
        return snapshot(self.config, self.source, self.network, self.progress, optimizer)

    def _save(self) -> None:
        """Keep the state in the middle of an epoch."""
        require_finite(self.network, self.progress)
        self.keeper.keep()

    def _stop_if_asked(self, stop: StopRequest) -> None:
        """Save the state and stop, if any process was asked to."""
        (asked,) = processes.all_reduce_max(stop.signal)
        if asked:
            self._save_and_stop(asked)

    def _save_and_stop(self, number: int) -> NoReturn:
        self._save()
        where = f"epoch {self.progress.epoch + 1} at step {self.progress.step}"
        raise Interrupted(number, f"stopped in {where}; go on with: lba train --resume {self.folder.path}")
