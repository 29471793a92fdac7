"""Of some people: between all positions of their images the matching probability, masks and co-attention, quantised."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import torch
from torch import Tensor

from lba_cli.alignment import co_attention, matching_probability, person_mask
from lba_cli.data.store import ImageSource
from lba_cli.model import TwoStreamNetwork
from lba_cli.reporting import Listener
from lba_cli.visualize.correspondences import Stage
from lba_cli.visualize.people import Person, another_person, stage_maps
from lba_cli.visualize.report.album import Album

if TYPE_CHECKING:
    from numpy.typing import NDArray

STAGES: tuple[Stage, ...] = get_args(Stage)


def matched_people(
    network: TwoStreamNetwork,
    source: ImageSource,
    people: list[Person],
    *,
    temperature: float,
    seed: int,
    listener: Listener,
) -> list[dict[str, Any]]:
    """Every person's images by their sample indices, and the maps of both stages.

    Each stage has ``grid`` (rows and columns), the probabilities ``same`` and ``other`` (of the infrared image's positions
    in the visible images of the person and of somebody else, see :func:`quantised_rows`), and ``masks`` and
    ``attention`` of the infrared and of the person's visible image, 0 to 255 in base64.
    """
    matched = []
    with listener.task("matching positions", len(people), "people") as progress:
        for person in people:
            other = another_person(person, people, source.samples, seed)
            maps = [
                stage_maps(network, source, person.infrared, "infrared"),
                stage_maps(network, source, person.visible, "visible"),
                stage_maps(network, source, other.visible, "visible"),
            ]
            stages = {stage: _stage([getattr(each, stage) for each in maps], temperature) for stage in STAGES}
            images = {"infrared": person.infrared, "visible": person.visible, "other": other.visible}
            matched.append({"images": images, "stages": stages})
            progress.advance()
    return matched


def in_album(person: dict[str, Any], album: Album) -> dict[str, Any]:
    """A person of :func:`matched_people` with the album's numbers instead of sample indices."""
    return {**person, "images": {name: album.add(index) for name, index in person["images"].items()}}


def quantised_rows(probability: NDArray[np.float32]) -> dict[str, Any]:
    """(P, Q) probabilities → ``of_peak``: base64 of (P, Q) uint8, each row's share of its largest; ``peak``: (P,) these."""
    peak = probability.max(axis=1)
    share = probability / np.maximum(peak, 1e-12)[:, None]
    return {"of_peak": _bytes(share), "peak": [round(float(value), 4) for value in peak]}


@torch.inference_mode()
def _stage(features: list[Tensor], temperature: float) -> dict[str, Any]:
    """One stage's maps, from (1, C, H, W) features of the infrared, the visible, and the other person's visible image."""
    infrared, visible, other = features
    there = matching_probability(infrared, visible, temperature)
    back = matching_probability(visible, infrared, temperature)
    elsewhere = matching_probability(infrared, other, temperature)
    masks = [person_mask(infrared), person_mask(visible)]
    attention = [co_attention(there, masks[0], masks[1]), co_attention(back, masks[1], masks[0])]
    return {
        "grid": list(infrared.shape[2:]),
        "same": quantised_rows(there[0].cpu().numpy()),
        "other": quantised_rows(elsewhere[0].cpu().numpy()),
        "masks": [_bytes(mask.cpu().numpy()) for mask in masks],
        "attention": [_bytes(each.cpu().numpy()) for each in attention],
    }


def _bytes(values: NDArray[np.float32]) -> str:
    """Values in [0, 1] as base64 of uint8."""
    return base64.b64encode(np.rint(values * 255).astype(np.uint8).tobytes()).decode("ascii")
