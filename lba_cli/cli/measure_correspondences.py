"""Measure the correspondences of the models of ``lba evaluate``, and of an untrained network."""

from collections.abc import Sequence

from lba_cli.cli.candidates import Candidate
from lba_cli.cli.checkpoints import OpenedCheckpoint
from lba_cli.data.store import ImageSource
from lba_cli.evaluation.correspondence_results import ModelCorrespondences
from lba_cli.evaluation.correspondences import StageCorrespondences, configured_accuracy
from lba_cli.evaluation.feature_maps import Stage
from lba_cli.evaluation.result import ScoredModel
from lba_cli.evaluation.true_places import require_truth
from lba_cli.model import TwoStreamNetwork
from lba_cli.model.initial_weights import build_network
from lba_cli.processes import run_on_writer
from lba_cli.reporting import Listener

UNTRAINED = "untrained"


def measure_correspondences(candidates: Sequence[Candidate], listener: Listener) -> tuple[ModelCorrespondences, ...]:
    """Measure the correspondences of all models, and of an untrained network like the first one.

    Raises:
        DataError: the data set has no truth, or a part of the truth is missing or damaged.
    """
    for candidate in candidates:
        for _, source in candidate.parts:
            require_truth(source)
    untrained = tuple(
        _measure(opened, source, _untrained(opened.network), listener) for opened, source in candidates[0].parts
    )
    measured = [
        ModelCorrespondences(
            ScoredModel(candidate.name).name,
            tuple(_measure(opened, source, opened.network, listener) for opened, source in candidate.parts),
            candidate.seeds,
        )
        for candidate in candidates
    ]
    return (*measured, ModelCorrespondences(UNTRAINED, untrained))


def _measure(
    opened: OpenedCheckpoint, source: ImageSource, network: TwoStreamNetwork, listener: Listener
) -> dict[Stage, StageCorrespondences]:
    return run_on_writer(lambda: configured_accuracy(network, source, opened.config, listener))


def _untrained(network: TwoStreamNetwork) -> TwoStreamNetwork:
    """Return a network of the same kind and on the same device, with random weights."""
    like = build_network(
        network.backbone, network.num_classes, "none", 0, network.image_size, non_local=bool(network.non_local)
    )
    return like.to(next(network.parameters()).device).eval()
