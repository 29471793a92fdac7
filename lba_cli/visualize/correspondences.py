"""Matches between the positions of an infrared and a visible image (the first figure of the paper)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from lba_cli.alignment import person_mask
from lba_cli.data.image_files import any_image
from lba_cli.data.store import ImageSource
from lba_cli.evaluation.feature_maps import Stage, as_array, image_maps, sample_maps
from lba_cli.evaluation.strongest_matches import Matches, strongest_matches
from lba_cli.evaluation.true_places import has_truth, sample_truth
from lba_cli.model import TwoStreamNetwork
from lba_cli.synthetic.truth import Truth
from lba_cli.visualize.canvas import (
    INCHES,
    connect,
    headline,
    mark_places,
    new_figure,
    place,
    show_heat,
    show_image,
    verdict,
    write,
)
from lba_cli.visualize.judged_matches import Where, allowed_positions, judge
from lba_cli.visualize.people import Person, PictureOptions, another_person, choose_people
from lba_cli.vocabulary import Modality, PaperWidth

# Lengths in inches: the gap between a mask and its image, the space for lines between the two images, the margins,
# the text above a pair, and the headline.
GAP, SPAN, MARGIN, LINE, HEAD = 0.07, 0.5, 0.12, 0.34, 0.3
# The number of image pairs that are side by side.
ABREAST: dict[PaperWidth, int] = {"page": 2, "column": 1}
DIRECTION: tuple[Modality, Modality] = ("infrared", "visible")


@dataclass(frozen=True)
class Matching:
    """The options of matching two images."""

    stage: Stage = "layer3"  # the stage whose features are compared
    count: int = 20  # the number of matches that are drawn, the strongest ones
    temperature: float = 50.0  # the factor of the similarities in the matching probability
    where: Where = "person"  # the positions whose matches are considered, see allowed_positions


def correspondences(
    network: TwoStreamNetwork,
    source: ImageSource,
    options: PictureOptions = PictureOptions(),
    matching: Matching = Matching(),
) -> Figure:
    """Draw the matches between two images of each person and, for contrast, between an image of the person and one of somebody else.

    A pair consists of an infrared image and a visible one, each with its person mask, joined by the strongest matches.
    The two pairs of a person are side by side on a full page, and below each other in a column. The visible images are from the
    same camera. If the data set has truth maps, the colour and the dashes of a line show whether the match is right.

    Raises:
        DataError: the test split lacks the requested people, or a truth map is missing or damaged.
    """
    people = choose_people(source.samples, options)
    abreast = ABREAST[options.width]
    pair_width = (INCHES[options.width] - MARGIN * (abreast + 1)) / abreast
    tile = _tile_width(pair_width)
    tall = tile * source.height / source.width
    figure = new_figure(INCHES[options.width], HEAD + (tall + LINE) * 2 * len(people) / abreast + MARGIN)
    headline(
        figure, MARGIN, f"The strongest matches (up to {matching.count}) of {matching.stage} features, {source.name}"
    )
    for number, person in enumerate(people):
        other = another_person(person, people, source.samples, options.seed)
        for position, partner in enumerate((person, other)):
            row, column = divmod(2 * number + position, abreast)
            left, top = MARGIN + column * (pair_width + MARGIN), HEAD + row * (tall + LINE) + LINE
            pair = _pair_of(network, source, matching.stage, person, partner)
            _draw_pair(figure, left, top, tile, pair, matching)
    return figure


def draw_correspondences(
    network: TwoStreamNetwork,
    infrared: str | Path | NDArray[np.uint8],
    visible: str | Path | NDArray[np.uint8],
    *,
    stage: Stage = "layer3",
    matches: int = 20,
    temperature: float = 50.0,
    where: Where = "person",
) -> Figure:
    """Draw the matches between an infrared and a visible image.

    Args:
        network: the network; the images are resized to its ``image_size``.
        infrared, visible: image files, or (H, W, 3) uint8 RGB arrays.
        stage: the stage of the network whose features are compared.
        matches: the number of matches that are drawn, the strongest ones.
        temperature: the factor of the similarities in the matching probability.
        where: the positions whose matches are considered, see :func:`allowed_positions`.

    Returns:
        A matplotlib figure, which notebooks display and ``figure.savefig`` writes.

    Raises:
        DataError: a file can't be read, or an array isn't an image.

    Example:
        >>> figure = draw_correspondences(load_network("runs/full/checkpoints/last.pt"), "night.png", "day.png")
        >>> figure.savefig("matches.pdf")
    """
    images = [any_image(image, *network.image_size, network.value_range) for image in (infrared, visible)]
    query, key = (
        Side(image, getattr(image_maps(network, image, modality), stage), modality)
        for image, modality in zip(images, DIRECTION, strict=True)
    )
    tile = _tile_width(INCHES["column"] - 2 * MARGIN)
    height, width = network.image_size
    figure = new_figure(INCHES["column"], LINE + tile * height / width + MARGIN)
    _draw_pair(figure, MARGIN, LINE, tile, Pair(query, key, stage), Matching(stage, matches, temperature, where))
    return figure


class Side(NamedTuple):
    """One (H, W, 3) uint8 image of a pair, its (1, C, h, w) features, the title above it, and the truth if it is known."""

    image: NDArray[np.uint8]
    features: Tensor
    title: str
    truth: Truth | None = None


class Pair(NamedTuple):
    """Two images, the caption above them, the colour of a frame around the key, and whether both show the same person."""

    query: Side
    key: Side
    caption: str
    frame: str | None = None
    same: bool = True


def _pair_of(network: TwoStreamNetwork, source: ImageSource, stage: Stage, person: Person, partner: Person) -> Pair:
    """Return the pair of a person's infrared image and a partner's visible image."""
    sides = []
    for index, title in (
        (person.infrared, f"infrared {person.identity:04d}"),
        (partner.visible, f"visible {partner.identity:04d}"),
    ):
        image, maps = sample_maps(network, source, index)
        features = getattr(maps, stage)
        sides.append(Side(image, features, title, sample_truth(source, index) if has_truth(source) else None))
    same = person.identity == partner.identity
    colour, mark = verdict(same)
    query, key = sides
    return Pair(query, key, f"{mark} {'same' if same else 'different'} person", colour, same)


def _tile_width(pair_width: float) -> float:
    """Return the width in inches of each of the four images in a pair."""
    return (pair_width - 2 * GAP - SPAN) / 4


def _draw_pair(figure: Figure, left: float, top: float, tile: float, pair: Pair, matching: Matching) -> None:
    """Draw mask, image, image and mask in a row, the matches between the images, and the caption above them.

    ``left``, ``top`` and the width ``tile`` of each image are in inches.
    """
    query, key = pair.query, pair.key
    among = allowed_positions(query.features, query.truth, matching.where)
    matches = strongest_matches(query.features, key.features, matching.count, matching.temperature, among)
    tall = tile * query.image.shape[0] / query.image.shape[1]
    starts = (0.0, tile + GAP, 2 * tile + GAP + SPAN, 3 * tile + 2 * GAP + SPAN)
    tiles = [place(figure, left + start, top, tile, tall) for start in starts]
    show_heat(tiles[0], query.image, as_array(person_mask(query.features)), "person mask")
    show_image(tiles[1], query.image, query.title)
    show_image(tiles[2], key.image, key.title, frame=pair.frame)
    show_heat(tiles[3], key.image, as_array(person_mask(key.features)), "person mask")
    points = [
        _pixels(matches.query, query.features.shape[2:], query.image.shape[:2]),
        _pixels(matches.key, key.features.shape[2:], key.image.shape[:2]),
    ]
    strength = matches.strength / max(float(matches.strength.max(initial=0.0)), 1e-12)
    judged = None
    if query.truth and key.truth and pair.same:
        judged = judge(matches, query.truth, key.truth, _grid(query.features))
    connect(tiles[1], tiles[2], np.hstack(points), strength, judged.colours if judged else None)
    if judged:
        wrong = judged.verdict == "wrong"
        true = (judged.true * key.image.shape[:2] - 0.5)[:, ::-1]
        mark_places(tiles[2], true[wrong], points[1][wrong])
    middle = left + 2 * tile + GAP + SPAN / 2
    caption = ", ".join([pair.caption, *([judged.words] if judged else []), _strength_words(matches)])
    write(figure, middle, top - 0.17, caption, ha="center")


def _strength_words(matches: Matches) -> str:
    return f"mean strength {matches.strength.mean():.2f}" if len(matches.strength) else "no matches"


def _grid(features: Tensor) -> tuple[int, int]:
    """Return the rows and columns of (1, C, h, w) features."""
    return features.shape[2], features.shape[3]


def _pixels(positions: NDArray[np.int64], grid: Sequence[int], image: Sequence[int]) -> NDArray[np.float64]:
    """Convert (M, 2) rows and columns of a feature map to (M, 2) x and y of the cells' centres in the image."""
    scale = np.asarray(image, float) / np.asarray(grid, float)
    centres: NDArray[np.float64] = (positions + 0.5) * scale - 0.5
    return centres[:, ::-1]
