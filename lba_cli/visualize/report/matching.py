"""Compute the matching probabilities, masks and co-attention of some people, as bytes for the page."""

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lba_cli.alignment import co_attention, matching_probability, person_mask
from lba_cli.compute import exact_arithmetic
from lba_cli.data.store import ImageSource
from lba_cli.evaluation.feature_maps import STAGES, sample_maps
from lba_cli.evaluation.true_places import corresponding, has_truth, person_pixels, places_of, sample_truth
from lba_cli.model import TwoStreamNetwork
from lba_cli.reporting import Listener
from lba_cli.visualize.people import Person, another_person
from lba_cli.visualize.report.album import Album


def matched_people(
    network: TwoStreamNetwork,
    source: ImageSource,
    people: list[Person],
    *,
    temperature: float,
    seed: int,
    listener: Listener,
) -> list[dict[str, Any]]:
    """Match an infrared image of each person with a visible image of the person, and with one of a different person.

    Returns:
        For each person, ``images`` has the sample indices of ``infrared``, ``visible`` and ``other``, and ``stages`` has
        layer3 and layer4. For each stage, ``grid`` is (rows, columns); ``same`` and ``other`` are the matching probabilities
        of the infrared image with the two visible ones (see :func:`quantised_rows`); ``masks`` and ``attention`` are the
        person masks and co-attentions of the person's two images, infrared first, in base64 of bytes from 0 to 255. If the data
        set has truth maps, ``true`` has for each position of the infrared image the positions of the visible one that show the
        same point, or None where the infrared image doesn't show the person.
    """
    matched = []
    with listener.task("matching positions", len(people), "people") as progress:
        for person in people:
            other = another_person(person, people, source.samples, seed)
            images = {"infrared": person.infrared, "visible": person.visible, "other": other.visible}
            maps = [sample_maps(network, source, index)[1] for index in images.values()]
            stages = {stage: _stage([getattr(each, stage) for each in maps], temperature) for stage in STAGES}
            if has_truth(source):
                for entry in stages.values():
                    entry["true"] = _true_positions(source, person, entry["grid"])
            matched.append({"images": images, "stages": stages})
            progress.advance()
    return matched


def in_album(person: dict[str, Any], album: Album) -> dict[str, Any]:
    """Replace the sample indices in an entry of :func:`matched_people` with image numbers of the album."""
    return {**person, "images": {name: album.add(index) for name, index in person["images"].items()}}


def quantised_rows(probability: NDArray[np.float32]) -> dict[str, Any]:
    """Quantise (P, Q) probabilities to bytes, each row relative to its largest value.

    Returns:
        ``relative``: base64 of (P, Q) bytes, 255 for the largest value of a row. ``peak``: (P,) the largest values.
    """
    peak = probability.max(axis=1)
    relative = probability / np.maximum(peak, 1e-12)[:, None]
    return {"relative": _base64(relative), "peak": [round(float(value), 4) for value in peak]}


def _true_positions(source: ImageSource, person: Person, grid: list[int]) -> list[list[int] | None]:
    """Return, for each position of the infrared feature map, the positions of the visible one that show the same point."""
    query, key = (sample_truth(source, index) for index in (person.infrared, person.visible))
    places, pixels = places_of(query, grid[0], grid[1]), person_pixels(key)
    rows, columns = (pixels.centre * grid / key.part.shape).astype(int).T
    cells = rows * grid[1] + columns
    true = corresponding(places, pixels)
    return [np.unique(cells[row]).tolist() if seen else None for row, seen in zip(true, places.on_person, strict=True)]


def _stage(features: list[Tensor], temperature: float) -> dict[str, Any]:
    """Return the entry of one stage, from the (1, C, H, W) features of the infrared and the two visible images."""
    infrared, visible, other = features
    with exact_arithmetic(infrared.device):
        same = matching_probability(infrared, visible, temperature)
        back = matching_probability(visible, infrared, temperature)
        different = matching_probability(infrared, other, temperature)
        masks = [person_mask(infrared), person_mask(visible)]
        attention = [co_attention(same, masks[0], masks[1]), co_attention(back, masks[1], masks[0])]
    return {
        "grid": list(infrared.shape[2:]),
        "same": quantised_rows(same[0].cpu().numpy()),
        "other": quantised_rows(different[0].cpu().numpy()),
        "masks": [_base64(mask.cpu().numpy()) for mask in masks],
        "attention": [_base64(each.cpu().numpy()) for each in attention],
    }


def _base64(values: NDArray[np.float32]) -> str:
    """Encode values in [0, 1] as base64 of bytes from 0 to 255."""
    return base64.b64encode(np.rint(values * 255).astype(np.uint8).tobytes()).decode("ascii")
