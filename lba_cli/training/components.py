"""The components of a run, built from its configuration."""

from pathlib import Path

import torch

from lba_cli import processes
from lba_cli.config import Config
from lba_cli.data.augmentation import Augmentation
from lba_cli.data.sampler import IdentitySampler, TooFewIdentities
from lba_cli.data.store import ImageSource, selection_set
from lba_cli.datasets import get_dataset
from lba_cli.errors import DataError, TrainingError
from lba_cli.evaluation.leakage import figures_note, find_overlap, training_people
from lba_cli.evaluation.scoring import require_scorable
from lba_cli.methods import Objective, get_method
from lba_cli.model import TwoStreamNetwork
from lba_cli.model.checkpoint import Checkpoint
from lba_cli.model.initial_weights import build_network, starting_records
from lba_cli.model.training_record import TrainingRecord, joined
from lba_cli.reporting import Listener
from lba_cli.training.distributed import synchronize_statistics
from lba_cli.training.run_folder import checkpoint_in
from lba_cli.training.state import History
from lba_cli.vocabulary import FEWEST_IDENTITIES, MODALITIES, SPLITS, plural


def build_sampler(config: Config, source: ImageSource, listener: Listener) -> IdentitySampler:
    """Build the sampler of this process's batches; raise a DataError if there are too few training identities."""
    recipe, world = config.train, processes.current()
    try:
        sampler = IdentitySampler(
            source.samples,
            recipe.identities,
            recipe.instances,
            recipe.seed,
            steps=recipe.steps_per_epoch,
            skip_incomplete=config.data.skip_incomplete,
            rank=world.rank,
            size=world.size,
        )
    except TooFewIdentities as problem:
        raise DataError(f"{source.name}: {problem}: {_how_to_train_on_more(source)}") from problem
    if count := len(sampler.incomplete):
        words = plural(
            count, "training identity lacks a modality and is", "training identities lack a modality and are"
        )
        listener.warn(f"{count} {words} left out")
    return sampler


def _how_to_train_on_more(source: ImageSource) -> str:
    """Advise what to do if a data set has too few people to train on."""
    people = [
        {s.identity for s in source.samples if (s.split, s.modality) == (split, m)}
        for split in SPLITS
        for m in MODALITIES
    ]
    trained, tested = len(people[0] & people[1]), len(people[2] & people[3])
    spec = get_dataset(source.dataset)
    if not spec.split_is_drawn:
        return "complete this copy of the data set"
    if trained + tested < FEWEST_IDENTITIES:
        where = f" ({tested} is in the test split)" if tested else ""
        return f"add people who have images of both modalities{where}"
    return f"{tested} {'are' if tested > 1 else 'is'} in the test split: {spec.advice().train_on_more}, or add people"


def pretrained_file(pretrained: str) -> str:
    """Return what :func:`build_network` takes for ``model.pretrained``; a run's folder stands for its last checkpoint."""
    return pretrained if pretrained in ("imagenet", "none") else str(checkpoint_in(Path(pretrained)))


def build_training_network(
    config: Config, classes: int, pretrained: str, device: torch.device, listener: Listener
) -> TwoStreamNetwork:
    """Build the network on ``device``, in channels-last memory; ``pretrained`` as for ``model.pretrained``.

    Raises:
        ConfigError: the pretrained weights can't be downloaded, or batch statistics can't be synchronised here.
        CheckpointError: the file of pretrained weights is of another network, or the folder holds no run.
    """
    size = config.data.height, config.data.width
    network = build_network(
        config.model.backbone,
        classes,
        pretrained_file(pretrained),
        config.train.seed,
        size,
        non_local=config.model.non_local,
        retrieval=config.model.retrieval_feature,
    )
    network.value_range = config.data.value_range
    network.checkpoint_activations = config.train.checkpoint_activations
    if config.train.sync_batchnorm:
        network = synchronize_statistics(network, device, listener)
    return network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def build_augmentation(config: Config) -> Augmentation:
    """Build the augmentation of training images."""
    data = config.data
    return Augmentation(data.pad, data.flip, data.erase, data.channel_exchange, data.visible_views)


# The config keys of the options of loss terms.
OPTION_KEYS = {
    "margin": "train.triplet_margin",
    "dense_margin": "alignment.margin",
    "temperature": "alignment.temperature",
    "weighting": "alignment.weighting",
    "masks": "alignment.masks",
}


def build_objective(config: Config, listener: Listener) -> Objective:
    """Build the objective of the configured method and loss weights; the listener is warned of options that no loss term uses."""
    for key in unused_options(config):
        listener.warn(f"{key} has no effect: no loss term of '{config.train.method}' with a weight above 0 uses it")
    return Objective(
        config.train.method,
        config.alignment.weighting,
        weights=config.loss.weights(),
        temperature=config.alignment.temperature,
        margin=config.train.triplet_margin,
        dense_margin=config.alignment.margin,
        masks=config.alignment.masks,
    )


def unused_options(config: Config) -> list[str]:
    """Return the keys of options that differ from their defaults, although no loss term with a weight uses them."""
    method = get_method(config.train.method)
    weights = method.weights(config.loss.weights())
    used = [term.options for term in method.terms if weights[term.name] > 0]
    changed = []
    for option, key in OPTION_KEYS.items():
        section, name = key.split(".")
        own = getattr(config, section)
        if getattr(own, name) != type(own).model_fields[name].default:
            changed.append((option, key))
    return [key for option, key in changed if all(options is not None and option not in options for options in used)]


def can_evaluate(source: ImageSource, listener: Listener) -> bool:
    """Whether there are images to choose the best epoch by: those of the validation people if there are any, otherwise the test images.

    The listener is warned if there are none, and informed if validation people choose.

    Raises:
        DataError: there are images, but no query has a match in the gallery.
    """
    selection = selection_set(source)
    if any(sample.split == "test" for sample in selection.samples):
        require_scorable(selection)
        if selection is not source:
            people = len({sample.identity for sample in selection.samples})
            listener.say(f"best.pt is chosen by the mAP on {people} validation people")
        return True
    listener.warn(f"{source.name}: there are no test images, so nothing is evaluated; best.pt is of the last epoch")
    return False


def build_history(
    config: Config, source: ImageSource, sampler: IdentitySampler, checkpoint: Checkpoint | None, listener: Listener
) -> History:
    """Collect the training people of this run and of the models that its weights come from.

    Warn if any of them are among the people whose mAP selects the best epoch. When a run is resumed from ``checkpoint``, the
    records of the earlier models are read from the checkpoint.

    Raises:
        DataError, CheckpointError: an image or the file of initial weights can't be read.
        TrainingError: the training images differ from those that the run was started with.
    """
    left_out = sampler.incomplete
    people = processes.run_on_writer(lambda: training_people(source, left_out, listener))
    if checkpoint:
        if checkpoint.description.people != people:
            raise TrainingError(
                f"{source.name}: not the images that the run was started on; to be resumed it needs the same"
            )
        earlier = checkpoint.description.records()[1:]
    else:
        backbone, pretrained = config.model.backbone, pretrained_file(config.model.pretrained)
        earlier = processes.run_on_writer(lambda: joined(starting_records(backbone, pretrained)))
    records = (TrainingRecord(source.name, source.trial, people), *earlier)
    selection = selection_set(source)
    if not any(sample.split == "test" for sample in selection.samples):
        return History(people, earlier)
    overlap = find_overlap(records, selection, listener)
    if overlap.reason:
        listener.warn(
            f"{overlap.reason}, which inflates all figures of this run, and those that choose best.pt. Start from other "
            "weights (model.pretrained), or test with other people"
        )
    for doubt in overlap.doubts:
        listener.warn(doubt)
    return History(people, earlier, figures_note([overlap]))
