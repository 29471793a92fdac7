"""Exact search by one dot product at a time."""

import numpy as np


def brute_force(gallery, query, top):
    """Return (row, score) of the ``top`` best rows of ``gallery`` for ``query``; ties keep the rows' order."""
    wide = query.astype(np.float64)
    scored = [(-float(np.dot(row.astype(np.float64), wide)), number) for number, row in enumerate(gallery)]
    return [(number, -negative) for negative, number in sorted(scored)[:top]]
