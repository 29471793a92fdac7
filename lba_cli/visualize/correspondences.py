"""Where the network finds a place of the infrared image in the visible one (the paper's first figure)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from lba_cli.alignment import matching_probability, person_mask
from lba_cli.data.image_files import any_image
from lba_cli.data.store import ImageSource
from lba_cli.model import TwoStreamNetwork
from lba_cli.visualize.canvas import (
    INCHES,
    RIGHT,
    RIGHT_MARK,
    WRONG,
    WRONG_MARK,
    connect,
    headline,
    new_figure,
    place,
    show_heat,
    show_image,
    write,
)
from lba_cli.visualize.people import Person, another_person, choose_people, heat, maps_of, stage_maps
from lba_cli.vocabulary import Modality, PaperWidth

if TYPE_CHECKING:
    from numpy.typing import NDArray

Stage = Literal["layer3", "layer4"]
# Inches: the gap beside a mask, the span that lines cross, margins, a row's two lines of text, the title.
GAP, SPAN, MARGIN, LINE, HEAD = 0.07, 0.5, 0.12, 0.34, 0.3
# How many pairs of images stand beside each other.
ABREAST: dict[PaperWidth, int] = {"page": 2, "column": 1}
DIRECTION: tuple[Modality, Modality] = ("infrared", "visible")


class Matches(NamedTuple):
    """The strongest matches between two images.

    Attributes:
        query: (M, 2) row and column in the query's map.
        key: (M, 2) row and column in the key's map.
        strength: (M,) matching probability × both person masks, strongest first.
    """

    query: NDArray[np.int64]
    key: NDArray[np.int64]
    strength: NDArray[np.float64]


def strongest_matches(query: Tensor, key: Tensor, count: int = 20, temperature: float = 50.0) -> Matches:
    """For each position of the query its most probable position in the key; of these the ``count`` strongest.

    Args:
        query, key: (1, C, H, W) features of the two images.
        count: how many at most; a query position has one match.
        temperature: of the matching probability.

    The strength of a match is its probability times the person masks at both ends, so that matches between
    backgrounds come last.
    """
    probability = matching_probability(query, key, temperature)[0]  # (HW, HW)
    weighted = probability * person_mask(query).flatten()[:, None] * person_mask(key).flatten()[None, :]
    strength, place = weighted.max(dim=1)
    order = torch.argsort(strength, descending=True, stable=True)[:count].cpu()
    rows, columns = np.divmod(order.numpy(), query.shape[3])
    key_rows, key_columns = np.divmod(place.cpu()[order].numpy(), key.shape[3])
    return Matches(
        np.stack([rows, columns], axis=1),
        np.stack([key_rows, key_columns], axis=1),
        strength.cpu()[order].double().numpy(),
    )


def correspondences(
    network: TwoStreamNetwork,
    source: ImageSource,
    *,
    people: int = 4,
    identities: Sequence[int] | None = None,
    stage: Stage = "layer3",
    matches: int = 20,
    temperature: float = 50.0,
    seed: int = 0,
    width: PaperWidth = "page",
) -> Figure:
    """Draw people: matches between two images of the person, and, for contrast, with somebody else.

    Each pair is the infrared image with its person mask, and the visible one with its, joined by the strongest matches.
    On a page's width a person's two pairs stand beside each other, on a column's below.

    Raises:
        DataError: the test part lacks the people asked for.
    """
    chosen = choose_people(source.samples, people, seed, identities)
    abreast = ABREAST[width]
    pair = (INCHES[width] - MARGIN * (abreast + 1)) / abreast
    tile = (pair - 2 * GAP - SPAN) / 4
    tall = tile * source.height / source.width
    figure = new_figure(INCHES[width], HEAD + (tall + LINE) * 2 * len(chosen) / abreast + MARGIN)
    headline(figure, MARGIN, f"The {matches} strongest matches by {stage}, {source.name}")
    matching = _Matching(network, source, stage, matches, temperature)
    for number, person in enumerate(chosen):
        other = another_person(person, chosen, source.samples, seed)
        for at, partner in enumerate((person, other)):
            row, column = divmod(2 * number + at, abreast)
            top = HEAD + row * (tall + LINE) + LINE
            matching.draw(figure, MARGIN + column * (pair + MARGIN), top, tile, person, partner)
    return figure


def draw_correspondences(
    network: TwoStreamNetwork,
    infrared: str | Path | NDArray[np.uint8],
    visible: str | Path | NDArray[np.uint8],
    *,
    stage: Stage = "layer3",
    matches: int = 20,
    temperature: float = 50.0,
) -> Figure:
    """Draw where ``network`` finds the places of an infrared picture in a visible one.

    Args:
        network: on its device; the pictures are resized to its ``image_size``.
        infrared, visible: image files, or (H, W, 3) uint8 RGB arrays.
        stage: whose features are matched.
        matches: how many of the strongest matches are drawn.
        temperature: of the matching probability.

    Returns:
        A matplotlib figure, which notebooks show and ``figure.savefig`` writes.

    Raises:
        DataError: a file can't be read, or an array isn't an image.
    """
    sides = []
    for image, modality in zip((infrared, visible), DIRECTION, strict=True):
        pixels = any_image(image, *network.image_size)
        sides.append(Side(pixels, getattr(maps_of(network, pixels, modality), stage), modality))
    pair = INCHES["column"] - 2 * MARGIN
    tile = (pair - 2 * GAP - SPAN) / 4
    figure = new_figure(INCHES["column"], LINE + tile * sides[0].image.shape[0] / sides[0].image.shape[1] + MARGIN)
    found = strongest_matches(sides[0].features, sides[1].features, matches, temperature)
    _draw_pair(figure, MARGIN, LINE, tile, sides[0], sides[1], found, stage)
    return figure


class Side(NamedTuple):
    """One image of a pair: (H, W, 3) uint8, its features (1, C, h, w), and what is written above it."""

    image: NDArray[np.uint8]
    features: Tensor
    title: str


@dataclass(frozen=True)
class _Matching:
    """How two images are matched."""

    network: TwoStreamNetwork
    source: ImageSource
    stage: Stage
    count: int
    temperature: float

    def side(self, person: Person, modality: Modality) -> Side:
        """A person's image of a modality."""
        index = person.infrared if modality == "infrared" else person.visible
        features = getattr(stage_maps(self.network, self.source, index, modality), self.stage)
        return Side(self.source.read([index])[0], features, f"{modality} {person.identity:04d}")

    def draw(self, figure: Figure, left: float, top: float, tile: float, person: Person, partner: Person) -> None:
        """Draw a person's infrared image beside the partner's visible one."""
        same = person.identity == partner.identity
        words = f"{RIGHT_MARK} same person" if same else f"{WRONG_MARK} another person"
        query, key = self.side(person, "infrared"), self.side(partner, "visible")
        found = strongest_matches(query.features, key.features, self.count, self.temperature)
        _draw_pair(figure, left, top, tile, query, key, found, words, RIGHT if same else WRONG)


def _draw_pair(
    figure: Figure,
    left: float,
    top: float,
    tile: float,
    query: Side,
    key: Side,
    found: Matches,
    words: str,
    frame: str | None = None,
) -> None:
    """Mask, image, image, mask; the two images joined by matches, and ``words`` with their mean strength above."""
    tall = tile * query.image.shape[0] / query.image.shape[1]
    starts = (0.0, tile + GAP, 2 * tile + GAP + SPAN, 3 * tile + 2 * GAP + SPAN)
    tiles = [place(figure, left + start, top, tile, tall) for start in starts]
    show_heat(tiles[0], query.image, heat(person_mask(query.features)), "mask")
    show_image(tiles[1], query.image, query.title)
    show_image(tiles[2], key.image, key.title, frame=frame)
    show_heat(tiles[3], key.image, heat(person_mask(key.features)), "mask")
    places = [
        _pixels(found.query, query.features.shape[2:], query.image.shape[:2]),
        _pixels(found.key, key.features.shape[2:], key.image.shape[:2]),
    ]
    strength = found.strength / max(float(found.strength.max()), 1e-12)
    connect(tiles[1], tiles[2], np.hstack(places), strength, query.image.shape[0])
    middle = left + 2 * tile + GAP + SPAN / 2
    write(figure, middle, top - 0.17, f"{words}, mean strength {found.strength.mean():.2f}", ha="center")


def _pixels(places: NDArray[np.int64], grid: Sequence[int], image: Sequence[int]) -> NDArray[np.float64]:
    """(M, 2) rows and columns of a map → (M, 2) x and y of their centres in the image, in pixels."""
    scale = np.asarray(image, float) / np.asarray(grid, float)
    centres: NDArray[np.float64] = (places + 0.5) * scale - 0.5
    return centres[:, ::-1]
