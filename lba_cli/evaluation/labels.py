"""The labels that ranking needs: identities and cameras of queries and gallery, and which pairs the match rules ignore.

Shapes: Q queries, G gallery images.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from lba_cli.match_rules import MatchRules


class Labels(NamedTuple):
    """The labels of the queries, or of the gallery images.

    Attributes:
        identity: (n,) int64 codes, equal for equal identities: 0 to G - 1, or -1 where the gallery lacks the identity.
        camera: (n,) cameras, or None where they are unknown.
    """

    identity: NDArray[np.int64]
    camera: NDArray[Any] | None

    def rows(self, rows: slice) -> Labels:
        """Return the labels of some of the images."""
        return Labels(self.identity[rows], None if self.camera is None else self.camera[rows])


def encode_labels(
    query_ids: ArrayLike | Tensor,
    gallery_ids: ArrayLike | Tensor,
    query_cameras: ArrayLike | Tensor | None,
    gallery_cameras: ArrayLike | Tensor | None,
) -> tuple[Labels, Labels]:
    """Check the labels of both sides and return them with encoded identities. Raises ValueError if shapes don't fit."""
    if (query_cameras is None) != (gallery_cameras is None):
        raise ValueError("cameras should be given for both queries and gallery, or for neither")
    query, gallery = as_array(query_ids), as_array(gallery_ids)
    for side, identity in (("query", query), ("gallery", gallery)):
        if identity.ndim != 1:
            raise ValueError(f"{side} identities should be one-dimensional, not of shape {identity.shape}")
    names, gallery_codes = np.unique(gallery, return_inverse=True)
    query_codes = np.where(np.isin(query, names), np.searchsorted(names, query), -1)
    return (
        Labels(query_codes, _cameras("query", query_cameras, len(query))),
        Labels(gallery_codes, _cameras("gallery", gallery_cameras, len(gallery))),
    )


def ignored_by(rules: MatchRules, query: Labels, gallery: Labels) -> NDArray[np.bool_] | None:
    """Return (Q, G) bool, true where a query ignores a gallery image; None if no rule applies."""
    if query.camera is None or gallery.camera is None:
        return None
    masks = [(query.camera == a)[:, None] & (gallery.camera == b) for a, b in rules.ignore_camera_pairs]
    if rules.ignore_same_identity_and_camera:
        same_camera = query.camera[:, None] == gallery.camera
        masks.append(same_camera & (query.identity[:, None] == gallery.identity))
    return np.logical_or.reduce(masks) if masks else None


def as_array(values: ArrayLike | Tensor) -> NDArray[Any]:
    """Return the values as an array; a tensor may be on any device."""
    if not isinstance(values, Tensor):
        return np.asarray(values)
    known = values.float() if values.dtype == torch.bfloat16 else values  # NumPy has no bfloat16
    return np.asarray(known.numpy(force=True))


def _cameras(side: str, cameras: ArrayLike | Tensor | None, number: int) -> NDArray[Any] | None:
    if cameras is None:
        return None
    array = as_array(cameras)
    if array.shape != (number,):
        raise ValueError(f"{side} cameras should have shape {(number,)}, not {array.shape}")
    return array
