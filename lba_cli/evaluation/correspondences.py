"""How well a network matches the positions of an infrared image with those of a visible image, where the truth is known.

The truth is known for synthetic people only, see :mod:`lba_cli.synthetic.truth_files` and :mod:`lba_cli.evaluation.true_places`.
"""

import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lba_cli.alignment import matching_probability
from lba_cli.compute import exact_arithmetic
from lba_cli.config import Config
from lba_cli.data.store import ImageSource
from lba_cli.evaluation.correspondence_pairs import ImagePair, choose_pairs
from lba_cli.evaluation.feature_maps import STAGES, Stage, sample_maps
from lba_cli.evaluation.strongest_matches import strongest_matches
from lba_cli.evaluation.true_places import (
    ROUNDING,
    TruePlaces,
    corresponding,
    distances,
    person_pixels,
    places_of,
    require_truth,
    sample_truth,
)
from lba_cli.evaluation.verification import verification
from lba_cli.model import TwoStreamNetwork
from lba_cli.model.network import StageMaps
from lba_cli.reporting import Listener, Silent

SHARES = (0.05, 0.10, 0.20)  # of the person's height, within which a prediction counts as right
PREDICTIONS = {
    "strongest": "strongest match",
    "expected": "expected position",
    "unplaced": "strongest, place removed",
    "itself": "chance: own place",
    "random": "chance: on the person",
    "best": "best possible",
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
            positions whose prediction lies within that share of the person's height from the nearest true pixel;
            ``median_error``, the median of that distance in shares of the person's height; ``on_person``, the share of the
            person's positions that are matched to the person; and ``same_place``, the share that are matched to the row and
            column that they have themselves. Figures that no pair has are missing.
        same_versus_other: the area under the ROC curve of the mean strength of an image's matches, with the same person against
            another person under the same camera. 0.5 is chance.
        with_truth: the share of the person's positions whose point is also seen in the other image.
        pairs, counted: the number of pairs, and of those that have a position with a truth.
    """

    stage: Stage
    figures: Mapping[str, Figures]
    same_versus_other: float
    with_truth: float
    pairs: int
    counted: int

    def as_json(self) -> dict[str, Any]:
        """Return the figures as values that JSON can hold."""
        return {
            "stage": self.stage,
            "pairs": self.pairs,
            "pairs_counted": self.counted,
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
    source.check(sorted({index for pair in chosen for index in pair}), listener)
    positions = _mean_maps(network, source, chosen, listener)
    measured: dict[Stage, list[_PairFigures]] = {stage: [] for stage in STAGES}
    with listener.task("matching", len(chosen), "pairs") as progress:
        for pair in chosen:
            query, key, other = (sample_maps(network, source, index)[1] for index in pair)
            truths = [sample_truth(source, index) for index in (pair.infrared, pair.visible)]
            pixels = person_pixels(truths[1])
            for stage in STAGES:
                maps = [getattr(each, stage) for each in (query, key, other)]
                query_places, key_places = (places_of(truth, *maps[0].shape[2:]) for truth in truths)
                places = _Places(query_places, key_places, pixels)
                means = [getattr(positions[modality], stage) for modality in ("infrared", "visible")]
                measured[stage].append(_measure(maps, means, places, temperature))
            progress.advance()
    return {stage: _over_pairs(stage, each) for stage, each in measured.items()}


def configured_accuracy(
    network: TwoStreamNetwork, source: ImageSource, config: Config, listener: Listener
) -> dict[Stage, StageCorrespondences]:
    """Compute :func:`correspondence_accuracy` with the options of a configuration; it raises the same errors."""
    return correspondence_accuracy(
        network,
        source,
        pairs=config.evaluation.pairs,
        seed=config.evaluation.pairs_seed,
        temperature=config.alignment.temperature,
        listener=listener,
    )


class _Places(NamedTuple):
    """The truth about the positions of both images of a pair, and about all pixels of the key that show the person."""

    query: TruePlaces
    key: TruePlaces
    pixels: TruePlaces


@dataclass(frozen=True)
class _PairFigures:
    """The figures of a pair. ``figures`` lacks those that need a position with a truth, if the pair has none.

    ``with_truth`` is None if no position of the infrared image shows the person.
    """

    figures: Mapping[str, Figures]
    with_truth: float | None
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


def _measure(maps: Sequence[Tensor], means: Sequence[Tensor], places: _Places, temperature: float) -> _PairFigures:
    """Measure the matches of a query's (1, C, h, w) map with those of the same and of another person."""
    own, same, other = maps
    probability = _probability(own, same, temperature)
    unplaced = _probability(own - means[0], same - means[1], temperature)
    true = corresponding(places.query, places.pixels)
    strengths = [float(strongest_matches(own, each, temperature=temperature).strength.mean()) for each in (same, other)]
    count = int(places.query.on_person.sum())
    return _PairFigures(
        dict(_predictions(probability, unplaced, true, places)) if count else {},
        float(true.any(axis=1).sum() / count) if count else None,
        *strengths,
    )


def _probability(query: Tensor, key: Tensor, temperature: float) -> NDArray[np.float64]:
    with exact_arithmetic(query.device):
        return matching_probability(query, key, temperature)[0].cpu().double().numpy()  # Apple's GPUs have no float64


def _predictions(
    probability: NDArray[np.float64], unplaced: NDArray[np.float64], true: NDArray[np.bool_], places: _Places
) -> Iterator[tuple[str, Figures]]:
    """Yield the figures of each prediction, by the prediction's name. ``true`` is (positions, pixels of the key)."""
    centre = places.key.centre
    matched = {
        "strongest": probability.argmax(axis=1),
        "unplaced": unplaced.argmax(axis=1),
        "itself": np.arange(len(centre)),
    }
    for name, position in matched.items():
        yield name, _accuracy(centre[position], true, places.pixels) | _where(position, places)
    yield "expected", _accuracy(probability @ centre, true, places.pixels)
    anywhere = np.flatnonzero(places.key.on_person)
    if len(anywhere):
        everywhere = np.broadcast_to(centre[anywhere], (len(centre), len(anywhere), 2))
        yield "random", _accuracy(everywhere, true, places.pixels) | {"on_person": 1.0}
    yield "best", _accuracy(np.broadcast_to(centre, (len(centre), *centre.shape)), true, places.pixels, nearest=True)


def _where(position: NDArray[np.int64], places: _Places) -> Figures:
    on = places.query.on_person
    return {
        "on_person": float(places.key.on_person[position[on]].mean()),
        "same_place": float((position == np.arange(len(position)))[on].mean()),
    }


def _accuracy(
    predicted: NDArray[np.float64], true: NDArray[np.bool_], pixels: TruePlaces, *, nearest: bool = False
) -> Figures:
    """Return the figures of predicted (P, 2) or (P, guesses, 2) positions; nothing if no position has a truth.

    If there are several guesses, each has the same weight, or only the ``nearest`` one counts.
    """
    counted = np.flatnonzero(true.any(axis=1))
    if not len(counted):
        return {}
    guesses = predicted.reshape(len(predicted), -1, 2)
    found = [distances(guesses[row], pixels.centre[true[row]], pixels.height) for row in counted]
    errors = np.concatenate([each.min(keepdims=True) if nearest else each for each in found])
    within = {f"pck_{share:.2f}": float((errors <= share + ROUNDING).mean()) for share in SHARES}
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
        statistics.fmean([pair.with_truth for pair in pairs if pair.with_truth is not None] or [0.0]),
        len(pairs),
        sum(bool(pair.with_truth) for pair in pairs),
    )


def area_under_roc(positive: Sequence[float], negative: Sequence[float]) -> float:
    """Return the probability that a positive score is larger than a negative one. Ties count half."""
    return verification([*positive, *negative], [True] * len(positive) + [False] * len(negative)).auc
