"""Where the network finds a place of the infrared image in the visible one (the paper's first figure)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from lba_cli.alignment import matching_probability, person_mask
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
from lba_cli.visualize.subjects import Person, another_person, choose_people, heat, stage_maps
from lba_cli.vocabulary import Modality, PaperWidth

if TYPE_CHECKING:
    from numpy.typing import NDArray

Stage = Literal["layer3", "layer4"]
# Inches: the gap beside a mask, the span that lines cross, margins, a row's two lines of text, the title.
GAP, SPAN, MARGIN, LINE, HEAD = 0.07, 0.5, 0.12, 0.34, 0.3
# How many pairs of images stand beside each other.
ABREAST: dict[PaperWidth, int] = {"page": 2, "column": 1}


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
            _draw_pair(figure, MARGIN + column * (pair + MARGIN), top, tile, matching, (person, partner))
    return figure


@dataclass(frozen=True)
class _Matching:
    """How two images are matched."""

    network: TwoStreamNetwork
    source: ImageSource
    stage: Stage
    count: int
    temperature: float

    def features(self, index: int, modality: Modality) -> Tensor:
        """(1, C, H, W) features of a sample."""
        features: Tensor = getattr(stage_maps(self.network, self.source, index, modality), self.stage)
        return features


def _draw_pair(
    figure: Figure, left: float, top: float, tile: float, matching: _Matching, people: tuple[Person, Person]
) -> None:
    """Infrared mask, infrared image of one, visible image of the other, visible mask; the images joined by matches."""
    person, partner = people
    same = person.identity == partner.identity
    query = matching.features(person.infrared, "infrared")
    key = matching.features(partner.visible, "visible")
    infrared, visible = (matching.source.read([index])[0] for index in (person.infrared, partner.visible))
    tall = tile * infrared.shape[0] / infrared.shape[1]
    starts = (0.0, tile + GAP, 2 * tile + GAP + SPAN, 3 * tile + 2 * GAP + SPAN)
    tiles = [place(figure, left + start, top, tile, tall) for start in starts]
    show_heat(tiles[0], infrared, heat(person_mask(query)), "mask")
    show_image(tiles[1], infrared, f"infrared {person.identity:04d}")
    show_image(tiles[2], visible, f"visible {partner.identity:04d}", frame=RIGHT if same else WRONG)
    show_heat(tiles[3], visible, heat(person_mask(key)), "mask")
    found = strongest_matches(query, key, matching.count, matching.temperature)
    places = [
        _pixels(found.query, query.shape[2:], infrared.shape[:2]),
        _pixels(found.key, key.shape[2:], visible.shape[:2]),
    ]
    strength = found.strength / max(float(found.strength.max()), 1e-12)
    connect(tiles[1], tiles[2], np.hstack(places), strength, infrared.shape[0])
    words = f"{RIGHT_MARK} same person" if same else f"{WRONG_MARK} another person"
    middle = left + 2 * tile + GAP + SPAN / 2
    write(figure, middle, top - 0.17, f"{words}, mean strength {found.strength.mean():.2f}", ha="center")


def _pixels(places: NDArray[np.int64], grid: Sequence[int], image: Sequence[int]) -> NDArray[np.float64]:
    """(M, 2) rows and columns of a map → (M, 2) x and y of their centres in the image, in pixels."""
    scale = np.asarray(image, float) / np.asarray(grid, float)
    centres: NDArray[np.float64] = (places + 0.5) * scale - 0.5
    return centres[:, ::-1]
