"""How well a network matches the positions of an infrared image with those of a visible image, where the truth is known.

The truth is known for synthetic people only, see :mod:`lba_cli.synthetic.truth_files` and :mod:`lba_cli.evaluation.true_places`.
"""

import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import Tensor

from lba_cli.alignment import matching_probability
from lba_cli.data.store import ImageSource
from lba_cli.errors import DataError
from lba_cli.evaluation.correspondence_pairs import ImagePair, choose_pairs
from lba_cli.evaluation.feature_maps import STAGES, Stage, sample_maps
from lba_cli.evaluation.strongest_matches import strongest_matches
from lba_cli.evaluation.true_places import TruePlaces, corresponding, has_truth, places_of
from lba_cli.model import TwoStreamNetwork
from lba_cli.model.network import StageMaps
from lba_cli.reporting import Listener, Silent
from lba_cli.synthetic.truth_files import AGAIN, FOLDER, read_truth

SHARES = (0.05, 0.10, 0.20)  # of the person's height, within which a prediction counts as right
PREDICTIONS = {
    "strongest": "strongest match",
    "expected": "expected position",
    "unplaced": "strongest, unplaced",
    "itself": "chance: same place",
    "random": "chance: on the person",
}
FIGURES = (*(f"pck_{share:.2f}" for share in SHARES), "median_error", "on_person", "same_place")
# A prediction's figures, by the name of the figure.
Figures = dict[str, float]


@dataclass(frozen=True)
class StageCorrespondences:
    """The correspondences of one stage of a network, as means over pairs of images.

    Attributes:
        stage: the stage of the network.
        figures: for each of :data:`PREDICTIONS` its :data:`FIGURES`: ``pck_0.05``, ``pck_0.10`` and ``pck_0.20``, the share of
            positions whose prediction lies within that share of the person's height from the nearest true position;
            ``median_error``, the median of that distance in shares of the person's height; ``on_person``, the share of the
            person's positions that are matched to the person; and ``same_place``, the share that are matched to the row and
            column that they have themselves.
        same_versus_other: the area under the ROC curve of the mean strength of an image's matches, with the same person against
            another person under the same camera. 0.5 is chance.
        with_truth: the share of the person's positions whose point is also seen in the other image.
        pairs: the number of pairs.
    """

    stage: Stage
    figures: Mapping[str, Figures]
    same_versus_other: float
    with_truth: float
    pairs: int

    def as_json(self) -> dict[str, Any]:
        """Return the figures as values that JSON can hold."""
        return {
            "stage": self.stage,
            "pairs": self.pairs,
            "with_truth": self.with_truth,
            "same_versus_other": self.same_versus_other,
            **{name: dict(figures) for name, figures in self.figures.items()},
        }


def correspondence_accuracy(
    network: TwoStreamNetwork,
    source: ImageSource,
    *,
    pairs: int = 4,
    seed: int = 0,
    temperature: float = 50.0,
    listener: Listener = Silent(),
) -> dict[Stage, StageCorrespondences]:
    """Measure the correspondences between infrared and visible test images at each stage of a network.

    Args:
        network: the network.
        source: synthetic people with truth maps, at the network's image size.
        pairs: the number of pairs of images for each test person, chosen by ``seed``.
        temperature: the factor of the similarities in the matching probability.
        listener: receives the progress.

    Raises:
        DataError: the data set has no truth maps, or one is missing, damaged or of another image; or there are no pairs.

    Example:
        >>> figures = correspondence_accuracy(load_network("runs/full"), source)
        >>> figures["layer3"].figures["strongest"]["pck_0.10"]
    """
    require_truth(source)
    chosen = choose_pairs(source.samples, pairs, seed, listener)
    truths = {
        index: read_truth(source.root, source.samples[index].path) for pair in chosen for index in (pair[0], pair[1])
    }
    source.check(sorted({index for pair in chosen for index in pair}), listener)
    positions = _mean_maps(network, source, chosen, listener)
    measured: dict[Stage, list[_PairFigures]] = {stage: [] for stage in STAGES}
    with listener.task("matching", len(chosen), "pairs") as progress:
        for pair in chosen:
            query, key, other = (sample_maps(network, source, index)[1] for index in pair)
            for stage in STAGES:
                maps = [getattr(each, stage) for each in (query, key, other)]
                places = [places_of(truths[index], *maps[0].shape[2:]) for index in pair[:2]]
                means = [getattr(positions[modality], stage) for modality in ("infrared", "visible")]
                measured[stage].append(_measure(maps, means, places[0], places[1], temperature))
            progress.advance()
    return {stage: _over_pairs(stage, each) for stage, each in measured.items()}


def require_truth(source: ImageSource) -> None:
    """Raise a DataError if the data set has no truth maps."""
    if not has_truth(source):
        raise DataError(
            f"{source.root}: no truth about correspondences: only synthetic people have it ({FOLDER}/); {AGAIN}"
        )


@dataclass(frozen=True)
class _PairFigures:
    """The figures of a pair. ``figures`` lacks those that need a position with a truth, if the pair has none."""

    figures: Mapping[str, Figures]
    with_truth: float
    same: float
    other: float


def _mean_maps(
    network: TwoStreamNetwork, source: ImageSource, pairs: Sequence[ImagePair], listener: Listener
) -> dict[str, StageMaps]:
    """Return the mean feature maps of the pairs' images of each modality: what a position has in common in all images."""
    means = {}
    images = {"infrared": {pair.infrared for pair in pairs}, "visible": {pair.visible for pair in pairs}}
    with listener.task("averaging", sum(map(len, images.values())), "images") as progress:
        for modality, indices in images.items():
            sums: list[Tensor] = []
            for index in sorted(indices):
                maps = list(sample_maps(network, source, index)[1])
                sums = [a + b for a, b in zip(sums, maps, strict=True)] if sums else maps
                progress.advance()
            means[modality] = StageMaps(*(total / len(indices) for total in sums))
    return means


def _measure(
    maps: Sequence[Tensor], means: Sequence[Tensor], query: TruePlaces, key: TruePlaces, temperature: float
) -> _PairFigures:
    """Measure the matches of a query's (1, C, h, w) map with those of the same and of another person."""
    own, same, other = maps
    probability = _probability(own, same, temperature)
    unplaced = _probability(own - means[0], same - means[1], temperature)
    true = corresponding(query, key)
    strengths = [float(strongest_matches(own, each, temperature=temperature).strength.mean()) for each in (same, other)]
    count = int(query.on_person.sum())
    return _PairFigures(
        dict(_predictions(probability, unplaced, true, query, key)) if count else {},
        float(true.any(axis=1).sum() / count) if count else 0.0,
        *strengths,
    )


def _probability(query: Tensor, key: Tensor, temperature: float) -> NDArray[np.float64]:
    with torch.inference_mode():
        return matching_probability(query, key, temperature)[0].double().cpu().numpy()


def _predictions(
    probability: NDArray[np.float64],
    unplaced: NDArray[np.float64],
    true: NDArray[np.bool_],
    query: TruePlaces,
    key: TruePlaces,
) -> Iterator[tuple[str, Figures]]:
    """Yield the figures of each prediction, by the prediction's name."""
    count = len(key.part)
    matched = {"strongest": probability.argmax(axis=1), "unplaced": unplaced.argmax(axis=1), "itself": np.arange(count)}
    for name, position in matched.items():
        yield name, _accuracy(key.centre[position], true, query, key) | _where(position, query, key)
    yield "expected", _accuracy(probability @ key.centre, true, query, key)
    anywhere = np.flatnonzero(key.on_person)
    if len(anywhere):
        everywhere = np.broadcast_to(key.centre[anywhere], (count, len(anywhere), 2))
        yield "random", _accuracy(everywhere, true, query, key) | {"on_person": 1.0}


def _where(position: NDArray[np.int64], query: TruePlaces, key: TruePlaces) -> Figures:
    on = query.on_person
    return {
        "on_person": float(key.on_person[position[on]].mean()),
        "same_place": float((position == np.arange(len(position)))[on].mean()),
    }


def _accuracy(predicted: NDArray[np.float64], true: NDArray[np.bool_], query: TruePlaces, key: TruePlaces) -> Figures:
    """Return the figures of predicted (P, 2) or (P, guesses, 2) positions; nothing if no position has a truth.

    The distance is that to the nearest true position. If there are several guesses, each has the same weight.
    """
    counted = np.flatnonzero(true.any(axis=1))
    if not len(counted):
        return {}
    guesses = predicted.reshape(len(predicted), -1, 2)
    errors = np.concatenate(
        [
            np.linalg.norm(guesses[row][:, None] - key.centre[true[row]], axis=2).min(axis=1) / key.height
            for row in counted
        ]
    )
    within = {f"pck_{share:.2f}": float((errors <= share + 1e-9).mean()) for share in SHARES}
    return within | {"median_error": float(np.median(errors))}


def _over_pairs(stage: Stage, pairs: Sequence[_PairFigures]) -> StageCorrespondences:
    values: defaultdict[str, defaultdict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for pair in pairs:
        for prediction, figures in pair.figures.items():
            for name, value in figures.items():
                values[prediction][name].append(value)
    means = {
        prediction: {name: statistics.fmean(values[prediction][name]) for name in FIGURES if values[prediction][name]}
        for prediction in PREDICTIONS
    }
    return StageCorrespondences(
        stage,
        means,
        area_under_roc([pair.same for pair in pairs], [pair.other for pair in pairs]),
        statistics.fmean(pair.with_truth for pair in pairs),
        len(pairs),
    )


def area_under_roc(positive: Sequence[float], negative: Sequence[float]) -> float:
    """Return the probability that a positive score is larger than a negative one. Ties count half."""
    ranks = rankdata([*positive, *negative])[: len(positive)]
    return float((ranks.sum() - len(positive) * (len(positive) + 1) / 2) / (len(positive) * len(negative)))
