"""The training loop. An epoch consists of steps and ends with a checkpoint, and usually with an evaluation."""

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, nullcontext
from typing import Any, NoReturn

from lba_cli import processes
from lba_cli.alignment import Pairs, sample_pairs
from lba_cli.compute import arithmetic, keep_memory, own_device
from lba_cli.config import Config
from lba_cli.data.device_cache import DeviceCache, fits
from lba_cli.data.loaders import StepPositions, TrainingBatch, training_batches
from lba_cli.data.samples import selected_on
from lba_cli.data.store import ImageSource, selection_set
from lba_cli.errors import Interrupted, NotFinite, TrainingError
from lba_cli.evaluation.evaluate import EvaluationOptions, evaluate
from lba_cli.evaluation.setting_choice import selection_setting
from lba_cli.model.checkpoint import Checkpoint, write_checkpoint
from lba_cli.randomness import Stream, torch_generator
from lba_cli.reporting import Listener
from lba_cli.training import components
from lba_cli.training.distributed import report_processes
from lba_cli.training.loss_meter import OVERFLOW, Diverged, LossMeter, require_finite
from lba_cli.training.run_folder import RunFolder
from lba_cli.training.state import History, Progress, make_checkpoint, resolve_auto, restore
from lba_cli.training.step import TrainingStep
from lba_cli.training.stop_request import StopRequest, stop_between_steps
from lba_cli.training.tensorboard_log import event_writer

STEPS_BETWEEN_READS = 10  # losses are read rarely, because reading them waits for the device


def train(
    config: Config,
    source: ImageSource,
    folder: RunFolder,
    listener: Listener,
    checkpoint: Checkpoint | None = None,
    *,
    again: bool = False,
) -> Progress:
    """Train a network, and save it in ``folder``.

    Every epoch ends with a line in ``metrics.jsonl`` and the checkpoint ``last.pt``. ``best.pt`` is the network with the
    highest mAP on the validation people, or on the test people if there are none, as is usual in the field. The mAP is measured in the data
    set's most usual setting (SYSU-MM01: all-search, single-shot, mean of ten draws). In a job of several processes
    (:mod:`lba_cli.processes`), all processes call this with the same arguments. One process writes the files, and all of them
    end with the same weights and statistics.

    Args:
        folder: the run's folder. The caller holds its lock if other processes could train into it (:meth:`RunFolder.locked`).
        checkpoint: a checkpoint of this run to continue from.
        again: whether to start again a run that ended before its first checkpoint. Without this and without ``checkpoint``,
            the folder must be new.

    Returns:
        The position at the end, with the best mAP.

    Raises:
        DataError: the data can't be trained on.
        TrainingError: the training diverged, or the run can't be resumed.
        Interrupted: SIGINT, SIGTERM or SIGHUP has stopped the run; its state is saved.
    """
    config = resolve_auto(config, source.dataset, listener)
    trainer = Trainer(config, source, folder, listener, pretrained="none" if checkpoint else config.model.pretrained)
    source.check(range(len(source.samples)), listener)
    trainer.history = components.build_history(config, source, trainer.sampler, checkpoint, listener)
    trainer.load_images()
    if checkpoint:
        again = True
        end, name = (config.train.epochs, trainer.sampler.steps), str(folder.path)
        trainer.progress = restore(checkpoint, trainer.network, trainer.step.optimizer, source, name, end)
        trainer.saved = trainer.progress.epoch, trainer.progress.step
    if again:
        epoch, best = trainer.progress.epoch, trainer.progress.best
        trainer.progress.best = processes.run_on_writer(lambda: folder.prepare_resume(config, epoch, best, listener))
    report_processes(trainer.sampler, config.train, trainer.images_per_step, listener)
    with folder.claimed(config) if trainer.writes and not again else nullcontext(), stop_between_steps() as stop:
        try:
            trainer.run(stop)
        except Diverged as problem:
            raise TrainingError(f"{problem}; {trainer.remedy()}") from problem
    if trainer.history.note:  # again, because the warning at the start is far above
        listener.warn(f"this run's figures: {trainer.history.note}")
    return trainer.progress


class Trainer:
    """A run in progress.

    Attributes:
        sampler: chooses the images of every step.
        step: updates the network.
        history: the people that the network is trained on in this run, and was trained on before it.
        writes: whether this process writes the records and checkpoints.
        saved_at: the monotonic time of the last checkpoint or, before the first one, of the start, in seconds.
        saved: the epoch and step of the last checkpoint; None before the first one.
    """

    def __init__(
        self, config: Config, source: ImageSource, folder: RunFolder, listener: Listener, *, pretrained: str
    ) -> None:
        recipe = config.train
        self.config, self.source, self.folder, self.listener = config, source, folder, listener
        self.device = own_device(config.run.device, listener)
        self.sampler = components.build_sampler(config, source, listener)
        views = config.data.visible_views + 1
        self.images_per_step = views * recipe.identities * recipe.instances * processes.current().size
        self.selection = selection_set(source)
        self.can_evaluate = components.can_evaluate(source, listener)
        self.augmentation = components.build_augmentation(config)
        self.network = components.build_training_network(
            config, len(self.sampler.classes), pretrained, self.device, listener
        )
        self.step = TrainingStep(self.network, components.build_objective(config, listener), recipe, self.device)
        self.device_cache: DeviceCache | None = None
        self.progress = Progress()
        self.history = History({})
        self.writes = processes.current().is_writer
        self.saved_at = time.monotonic()
        self.saved: tuple[int, int] | None = None

    def load_images(self) -> None:
        """Load the training images onto the device if ``data.device_cache`` is true, or if it is null and they fit on a GPU."""
        data, own_images = self.config.data, self.images_per_step // processes.current().size
        if fits(self.source, self.device, own_images) if data.device_cache is None else data.device_cache:
            self.device_cache = DeviceCache(
                self.source, self.device, self.augmentation, workers=data.workers, listener=self.listener
            )

    def run(self, stop: StopRequest) -> None:
        """Train from the present position to the end of the last epoch."""
        recipe, progress = self.config.train, self.progress
        with (
            closing(self._batches()) as batches,
            event_writer(self.folder.path, recipe.tensorboard and self.writes) as write_events,
            arithmetic(recipe.precision, self.device),
            self.listener.task("training", recipe.epochs, "epochs", done=progress.epoch) as epochs_bar,
        ):
            while progress.epoch < recipe.epochs:
                timing = self._timed_epoch(batches, stop)
                record = self._make_record(stop)
                self._finish_epoch(record, timing)
                write_events(record)
                epochs_bar.advance()
                if progress.epoch < recipe.epochs:
                    self._stop_if_asked(stop)
            processes.broadcast_from_writer(self.network.buffers())

    def _batches(self) -> Generator[TrainingBatch]:
        """Yield every batch from the present position to the end of the run."""
        steps, data, seed = self.sampler.steps, self.config.data, self.config.train.seed
        first = self.progress.epoch * steps + self.progress.step
        positions = StepPositions(steps, range(first, self.config.train.epochs * steps))
        if self.device_cache:
            return self.device_cache.batches(self.sampler, seed, positions)
        on_gpu = self.device.type == "cuda"
        return training_batches(
            self.source, self.sampler, self.augmentation, seed, positions, workers=data.workers, pin=on_gpu
        )

    def _timed_epoch(self, batches: Iterator[TrainingBatch], stop: StopRequest) -> dict[str, float]:
        """Take the remaining steps of the epoch; return the line for ``timings.jsonl``."""
        started, first = time.perf_counter(), self.progress.step
        self._take_steps(batches, stop)
        seconds, steps = time.perf_counter() - started, self.progress.step - first
        return {
            "epoch": self.progress.epoch,
            "steps": steps,
            "seconds": round(seconds, 3),
            "images_per_second": round(self.images_per_step * steps / seconds, 1),
        }

    def _take_steps(self, batches: Iterator[TrainingBatch], stop: StopRequest) -> None:
        """Take the remaining steps of the epoch, and save the state whenever a checkpoint is due."""
        progress, steps = self.progress, self.sampler.steps
        self.step.set_learning_rates(progress.epoch)
        self.network.train()
        meter = LossMeter(progress)
        title = f"epoch {progress.epoch + 1}/{self.config.train.epochs}"
        with keep_memory(self.device), self.listener.task(title, steps, "steps", done=progress.step) as bar:
            while progress.step < steps:
                batch = next(batches)
                meter.add(self.step(batch, self._pair_drawer()))
                progress.step += 1
                signal, due = processes.all_reduce_max(stop.signal, self._is_checkpoint_due())
                saves = bool(signal) or (bool(due) and progress.step < steps)
                if progress.step % STEPS_BETWEEN_READS == 0 or progress.step == steps or saves:
                    taken, losses = meter.read_back()
                    facts = {"learning_rate": self.step.learning_rate, "images_a_step": self.images_per_step}
                    bar.advance(taken, **losses, **facts)
                if saves or progress.step == steps:
                    require_finite(self.network, progress, batch)
                if signal:
                    self._save_and_stop(signal)
                if saves:
                    self._write_last()

    def _pair_drawer(self) -> Callable[[], tuple[Pairs, Pairs]]:
        """Return a function that draws the partners in one part of the batch per call, for layer3 and for layer4."""
        recipe = self.config.train
        address = self.sampler.address(self.progress.epoch, self.progress.step)
        generator = torch_generator(recipe.seed, Stream.PAIRS, *address)
        part = recipe.identities // recipe.accumulate, recipe.instances, generator, self.config.data.visible_views

        def draw() -> tuple[Pairs, Pairs]:
            return sample_pairs(*part), sample_pairs(*part)

        return draw

    def remedy(self) -> str:
        """Return advice on what to do after training diverges. It names the run's newest checkpoint, if there is one."""
        recipe = self.config.train
        exact = ", or with train.precision=float32" if recipe.precision == "bfloat16" else ""
        words = f"start a new run with a train.learning_rate below {recipe.learning_rate:g}, or with train.clip_grad_norm{exact}"
        if not self.saved:
            return f"{words}. This run has no checkpoint"
        epoch, step = self.saved
        where = f"of epoch {epoch} after {step} steps" if step else f"after epoch {epoch - 1}"
        return (
            f"{words}. {self.folder.last} is the state {where} (epochs count from 0), from whose weights a run starts with "
            f"model.pretrained={self.folder.path}"
        )

    def _make_record(self, stop: StopRequest) -> dict[str, Any]:
        """Return the epoch's line for ``metrics.jsonl``, with an evaluation if one is due."""
        recipe, progress = self.config.train, self.progress
        self._stop_if_asked(stop)  # a signal came after the last step
        record: dict[str, Any] = {"epoch": progress.epoch, "learning_rate": self.step.learning_rate}
        for group, sums in progress.sums.items():
            record[group] = {name: total / self.sampler.steps for name, total in sums.items()}
        finished = progress.epoch + 1
        due = finished == recipe.epochs or (recipe.evaluate_every and finished % recipe.evaluate_every == 0)
        if due and self.can_evaluate:
            with stop.at_once():
                record["evaluation"] = self._evaluate()
                record["selected_on"] = selected_on(self.source.samples)
            self._stop_if_asked(stop)  # the epoch's steps are saved; a resumed run starts with its evaluation
        return record

    def _evaluate(self) -> dict[str, Any]:
        """Evaluate the current network; return its figures and the whole CMC."""
        processes.broadcast_from_writer(self.network.buffers())  # all processes evaluate the network that is saved
        options = EvaluationOptions(batch_size=self.config.evaluation.batch_size, workers=self.config.data.workers)
        setting = selection_setting(self.selection)
        try:
            (result,) = evaluate(self.network, self.selection, [setting], listener=self.listener, options=options)
        except NotFinite:
            raise Diverged(self.progress, self.progress.step - 1, OVERFLOW) from None
        self.progress.figures = result.mean()
        note = {"note": self.history.note} if self.history.note else {}
        return {**self.progress.figures, "cmc": result.mean_cmc(), **note}

    def _finish_epoch(self, record: dict[str, Any], timing: dict[str, float]) -> None:
        """Write the epoch's lines and checkpoints, and move on to the next epoch."""
        figures, progress = record.get("evaluation"), self.progress
        best = not self.can_evaluate
        if figures and figures["mAP"] > progress.best:
            best, progress.best = True, figures["mAP"]
        progress.epoch, progress.step, progress.sums = record["epoch"] + 1, 0, {}
        if self.writes:
            self.folder.append(record)
            if best:
                write_checkpoint(self.folder.best, self._make_checkpoint(resumable=False))
        self._write_last()
        if self.writes:
            self.folder.append_timing(timing)
        shown = f", mAP {figures['mAP']:.2%}, rank-1 {figures['rank1']:.2%}" if figures else ""
        self.listener.say(
            f"epoch {progress.epoch}/{self.config.train.epochs}: loss {record['losses']['total']:.3f}{shown}, "
            f"learning rate {record['learning_rate']:g}, {timing['images_per_second']:.0f} images/s"
        )

    def _is_checkpoint_due(self) -> bool:
        """Return whether a checkpoint within an epoch is due."""
        minutes = self.config.train.checkpoint_minutes
        return self.writes and minutes is not None and time.monotonic() - self.saved_at >= 60 * minutes

    def _make_checkpoint(self, *, resumable: bool) -> Checkpoint:
        optimizer = self.step.optimizer if resumable else None
        return make_checkpoint(self.config, self.source, self.network, self.progress, optimizer, self.history)

    def _write_last(self) -> None:
        if self.writes:
            self.folder.write_last(self._make_checkpoint(resumable=True))
        self.saved_at, self.saved = time.monotonic(), (self.progress.epoch, self.progress.step)

    def _stop_if_asked(self, stop: StopRequest) -> None:
        """Save the state and stop if any process has received a signal."""
        (signal,) = processes.all_reduce_max(stop.signal)
        if signal:
            self._save_and_stop(signal)

    def _save_and_stop(self, signal: int) -> NoReturn:
        self._write_last()
        where = f"epoch {self.progress.epoch + 1} at step {self.progress.step}"
        raise Interrupted(signal, f"stopped in {where}; continue with: lba train --resume {self.folder.path}")
