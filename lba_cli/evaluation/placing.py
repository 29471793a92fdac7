"""Where the true matches of a query come in its ranked list: sorting, and nothing of protocols or figures.

Every (query, gallery image) becomes one 64-bit number, so that sorting numbers ranks images, breaks ties, and carries along
what is asked of them: the distance, in bits that integers order, above the image's column, above whether it shows the query's
identity. The same lines run in NumPy, whose row sort uses vector instructions, and on a GPU in PyTorch.

Shapes: Q queries, G gallery images.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch

IGNORED = 0x7FFFFFFF << 32  # beyond every finite distance, and no match
LOW_HALF = 0xFFFFFFFF
EXACT_IN_FLOAT32 = 2**24  # integers up to it


class Places(NamedTuple):
    """Of the n queries that have a match, in their order; arrays of the kind that came in.

    Attributes:
        counted: (Q,) bool, which queries these are.
        first: (n,) int64, the place of the first match, from 0.
        identities: (n,) int64, how many distinct identities come before the first match.
        precision: (n,) float64, average precision.
        penalty: (n,) float64, inverse negative penalty: how many matches there are, by the rank of the last one.
    """

    counted: Any
    first: Any
    identities: Any
    precision: Any
    penalty: Any


def places(distance: Any, query: Any, gallery: Any, ignored: Any, identities: int) -> Places:
    """Rank the gallery for every query; ties go to the earlier image.

    Args:
        distance: (Q, G), finite; a NumPy array, or a tensor on a GPU like the other arguments.
        query: (Q,) int64 codes of identities; negative where the gallery lacks them.
        gallery: (G,) int64 codes, 0 … ``identities`` - 1.
        ignored: (Q, G) bool, the images that a query ignores, or None.
        identities: how many the gallery has.
    """
    queries, columns = distance.shape
    keys = _sorted_keys(distance, query[:, None] == gallery[None, :], ignored)
    found = _true((keys & 1).reshape(-1))
    limits = _searched(found, _count(queries + 1, keys) * columns)
    begin, end = limits[:-1], limits[1:]
    matches = end - begin
    row = _repeated(_count(queries, keys), matches)
    place, nth = found - row * columns, _count(len(found), keys) - begin[row]
    precisions = _zeros((queries, int(matches.max())), "float64", keys)
    precisions[row, nth] = _as(nth + 1, "float64") / (place + 1)
    counted = matches > 0
    matches, first, last = matches[counted], place[begin[counted]], place[end[counted] - 1]
    return Places(
        counted,
        first,
        _identities_before(keys[counted], first, gallery, identities),
        precisions.sum(1)[counted] / matches,
        _as(matches, "float64") / (last + 1),
    )


def _sorted_keys(distance: Any, match: Any, ignored: Any) -> Any:
    """(Q, G) int64, each row in ascending order: distance, twice the column, one more for a match."""
    keys = _ordered_bits(distance)
    keys <<= 32
    keys |= _count(distance.shape[1], keys) << 1
    keys |= match
    if ignored is not None:
        keys[ignored] = IGNORED
    if isinstance(keys, torch.Tensor):
        return keys.sort(dim=1).values
    keys.sort(axis=1)
    return keys


def _ordered_bits(distance: Any) -> Any:
    """(Q, G) int64 of 32 bits that are ordered, and tied, as the distances are."""
    library = torch if isinstance(distance, torch.Tensor) else np
    with np.errstate(over="ignore"):  # what is too large for float32 isn't kept by it
        single = _as(distance, "float32") + 0.0  # minus zero becomes zero
    if not _kept(distance, single):
        return _dense_ranks(distance)
    bits = single.view(library.int32)
    bits ^= (bits >> 31) & 0x7FFFFFFF  # negative numbers: the greater their magnitude, the smaller
    return _as(bits, "int64")


def _kept(distance: Any, single: Any) -> bool:
    """Whether float32 ``single`` has the values of ``distance``; integers are looked at as such: comparing would round them."""
    floating = distance.is_floating_point() if isinstance(distance, torch.Tensor) else distance.dtype.kind == "f"
    if not floating:
        return bool(int(distance.min()) >= -EXACT_IN_FLOAT32 and int(distance.max()) <= EXACT_IN_FLOAT32)
    return distance.dtype == single.dtype or bool((single == distance).all())


def _dense_ranks(distance: Any) -> Any:
    """(Q, G) int64, the rank of each distance in its row, equal ones alike; for those that float32 would round."""
    array = distance.cpu().numpy() if isinstance(distance, torch.Tensor) else distance
    ranks = np.stack([np.unique(row, return_inverse=True)[1] for row in array]).reshape(array.shape).astype(np.int64)
    return torch.from_numpy(ranks).to(distance.device) if isinstance(distance, torch.Tensor) else ranks


def _identities_before(keys: Any, first: Any, gallery: Any, identities: int) -> Any:
    """How many distinct identities the sorted (n, G) ``keys`` name before the place ``first`` of each row."""
    rows, columns = keys.shape
    row = _repeated(_count(rows, keys), first)
    place = _count(len(row), keys) - (first.cumsum(0) - first)[row]
    column = (keys.reshape(-1)[row * columns + place] & LOW_HALF) >> 1
    seen = _zeros((rows * identities,), "bool", keys)
    seen[row * identities + gallery[column]] = True
    return seen.reshape(rows, identities).sum(1)


def _as(array: Any, dtype: str) -> Any:
    return array.to(getattr(torch, dtype)) if isinstance(array, torch.Tensor) else array.astype(dtype, copy=False)


def _count(number: int, like: Any) -> Any:
    """(number,) int64: 0, 1, 2, …"""
    return torch.arange(number, device=like.device) if isinstance(like, torch.Tensor) else np.arange(number)


def _zeros(shape: tuple[int, ...], dtype: str, like: Any) -> Any:
    if isinstance(like, torch.Tensor):
        return torch.zeros(shape, dtype=getattr(torch, dtype), device=like.device)
    return np.zeros(shape, dtype)


def _true(flags: Any) -> Any:
    """(number,) int64, where (n,) ``flags`` aren't zero."""
    if isinstance(flags, torch.Tensor):
        return flags.nonzero().squeeze(1)
    return np.flatnonzero(flags.astype(bool))  # many times faster for bool


def _repeated(values: Any, times: Any) -> Any:
    return values.repeat_interleave(times) if isinstance(values, torch.Tensor) else np.repeat(values, times)


def _searched(ascending: Any, values: Any) -> Any:
    """(n,) int64: before which of ``ascending`` each value goes."""
    return (torch if isinstance(values, torch.Tensor) else np).searchsorted(ascending, values)
