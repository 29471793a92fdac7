"""Ranking a gallery by one dot product after another."""

import numpy as np


def brute_force(gallery, query, top):
    """(row, score) of the ``top`` best rows of ``gallery`` for ``query``; ties in the rows' order."""
    wide = query.astype(np.float64)
    scored = [(-float(np.dot(row.astype(np.float64), wide)), number) for number, row in enumerate(gallery)]
    return [(number, -negative) for negative, number in sorted(scored)[:top]]
