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
from lba_cli.visualize.canvas import RIGHT, WRONG, connect, new_figure, place, show_heat, show_image, write
from lba_cli.visualize.subjects import Person, another_person, choose_people, heat, stage_maps
from lba_cli.vocabulary import Modality

if TYPE_CHECKING:
    from numpy.typing import NDArray

Stage = Literal["layer3", "layer4"]
# Inches: an image's width, the gap beside a mask, the span that lines cross, margins, a row's line of text, the title.
TILE, GAP, SPAN, MARGIN, LINE, HEAD = 0.68, 0.07, 0.5, 0.15, 0.34, 0.2
PAIR = 4 * TILE + 2 * GAP + SPAN


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
) -> Figure:
    """Draw people in rows: matches between two images of the person, and, for contrast, with somebody else.

    Each half row shows the infrared image with its person mask, and the visible one with its, joined by the strongest
    matches.

    Raises:
        DataError: the test part lacks the people asked for.
    """
    chosen = choose_people(source.samples, people, seed, identities)
    tall = TILE * source.height / source.width
    figure = new_figure(2 * PAIR + 3 * MARGIN, HEAD + (tall + LINE) * len(chosen) + MARGIN)
    write(figure, MARGIN, 0.22, f"The {matches} strongest matches by {stage}, {source.name}", fontsize=9)
    matching = _Matching(network, source, stage, matches, temperature)
    for row, person in enumerate(chosen):
        top = HEAD + row * (tall + LINE) + LINE
        other = another_person(person, chosen, source.samples, seed)
        _draw_pair(figure, MARGIN, top, matching, person, person)
        _draw_pair(figure, 2 * MARGIN + PAIR, top, matching, person, other)
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


def _draw_pair(figure: Figure, left: float, top: float, matching: _Matching, person: Person, partner: Person) -> None:
    """Infrared mask, infrared image, visible image, visible mask; the two images joined by matches."""
    query = matching.features(person.infrared, "infrared")
    key = matching.features(partner.visible, "visible")
    infrared, visible = (matching.source.read([index])[0] for index in (person.infrared, partner.visible))
    tall = TILE * infrared.shape[0] / infrared.shape[1]
    starts = (0.0, TILE + GAP, 2 * TILE + GAP + SPAN, 3 * TILE + 2 * GAP + SPAN)
    tiles = [place(figure, left + start, top, TILE, tall) for start in starts]
    show_heat(tiles[0], infrared, heat(person_mask(query)), "mask")
    show_image(tiles[1], infrared, f"infrared {person.identity:04d}")
    show_image(tiles[2], visible, f"visible {partner.identity:04d}")
    show_heat(tiles[3], visible, heat(person_mask(key)), "mask")
    found = strongest_matches(query, key, matching.count, matching.temperature)
    places = [
        _pixels(found.query, query.shape[2:], infrared.shape[:2]),
        _pixels(found.key, key.shape[2:], visible.shape[:2]),
    ]
    strength = found.strength / max(float(found.strength.max()), 1e-12)
    connect(tiles[1], tiles[2], np.hstack(places), strength, infrared.shape[0])
    same = person.identity == partner.identity
    words = f"{'same person' if same else 'another person'}, mean strength {found.strength.mean():.2f}"
    write(figure, left + PAIR / 2, top - 0.17, words, color=RIGHT if same else WRONG, ha="center")


def _pixels(places: NDArray[np.int64], grid: Sequence[int], image: Sequence[int]) -> NDArray[np.float64]:
    """(M, 2) rows and columns of a map → (M, 2) x and y of their centres in the image, in pixels."""
    scale = np.asarray(image, float) / np.asarray(grid, float)
    centres: NDArray[np.float64] = (places + 0.5) * scale - 0.5
    return centres[:, ::-1]
