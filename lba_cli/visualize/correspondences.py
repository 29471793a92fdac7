"""Where the network finds a place of the infrared image in the visible one (the paper's first figure)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from lba_cli.alignment import matching_probability, person_mask
from lba_cli.data.store import ImageSource
from lba_cli.model import TwoStreamNetwork
from lba_cli.visualize.canvas import RIGHT, WRONG, connect, new_figure, show_heat, show_image
from lba_cli.visualize.subjects import Person, another_person, choose_people, heat, stage_maps

if TYPE_CHECKING:
    from matplotlib.figure import SubFigure
    from numpy.typing import NDArray

Stage = Literal["layer3", "layer4"]


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
    height, width = query.shape[2:]
    rows, columns = np.divmod(order.numpy(), width)
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
    row_width, row_height = 7.0, 1.2 + 1.1 * source.height / source.width
    figure = new_figure(row_width, 0.35 + row_height * len(chosen))
    rows = np.atleast_1d(figure.subfigures(len(chosen), 1))
    for row, person in zip(rows, chosen, strict=True):
        halves = row.subfigures(1, 2, wspace=0.04)
        other = another_person(person, chosen, source.samples, seed)
        for half, partner, colour in ((halves[0], person, RIGHT), (halves[1], other, WRONG)):
            _draw_pair(half, network, source, person, partner, stage, matches, temperature, colour)
    figure.suptitle(f"Strongest {matches} matches by {stage}, {source.name}", fontsize=9)
    return figure


def _draw_pair(
    half: SubFigure,
    network: TwoStreamNetwork,
    source: ImageSource,
    person: Person,
    partner: Person,
    stage: Stage,
    count: int,
    temperature: float,
    colour: str,
) -> None:
    """Infrared mask, infrared image, visible image, visible mask; the two images joined by matches."""
    query = getattr(stage_maps(network, source, person.infrared, "infrared"), stage)
    key = getattr(stage_maps(network, source, partner.visible, "visible"), stage)
    infrared, visible = source.read([person.infrared])[0], source.read([partner.visible])[0]
    axes = half.subplots(1, 4, gridspec_kw={"wspace": 0.25})
    show_heat(axes[0], infrared, heat(person_mask(query)), "mask")
    show_image(axes[1], infrared, f"infrared {person.identity:04d}")
    show_image(axes[2], visible, f"visible {partner.identity:04d}")
    show_heat(axes[3], visible, heat(person_mask(key)), "mask")
    found = strongest_matches(query, key, count, temperature)
    left = _pixels(found.query, query.shape[2:], infrared.shape[:2])
    right = _pixels(found.key, key.shape[2:], visible.shape[:2])
    strength = found.strength / max(float(found.strength.max()), 1e-12)
    connect(axes[1], axes[2], np.hstack([left, right]), strength, infrared.shape[0])
    words = "same person" if person.identity == partner.identity else "another person"
    half.suptitle(f"{words}, mean strength {found.strength.mean():.2f}", fontsize=8, color=colour)


def _pixels(places: NDArray[np.int64], grid: Sequence[int], image: Sequence[int]) -> NDArray[np.float64]:
    """(M, 2) rows and columns of a map → (M, 2) x and y of their centres in the image, in pixels."""
    scale = np.asarray(image, float) / np.asarray(grid, float)
    centres = (places + 0.5) * scale - 0.5
    return centres[:, ::-1]
