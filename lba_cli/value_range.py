"""The setting ``data.value_range``: which pixel values become black and white in images with more than 8 bits per pixel.

- ``full``: the whole range of 16-bit pixels, so that they keep their upper 8 bits.
- ``image``: from the smallest to the largest value of each image.
- ``percentiles``: from the 1st to the 99th percentile of each image.
- ``[low, high]``: these two values in all images, in the unit of the files. ``[2%, 98%]``: these percentiles of each image.

The setting never changes 8-bit images.
"""

import math
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator

FULL = "full"
PERCENTILES = {"image": (0.0, 100.0), "percentiles": (1.0, 99.0)}
KEY = "data.value_range"
ALLOWED = f"allowed: {FULL}, {', '.join(PERCENTILES)}, or [low, high], such as [7000, 8500] or [2%, 98%]"


def parse_value_range(value: Any) -> Any:
    """Return a value of the setting, with a list converted to a tuple. Raises ValueError if the value isn't valid."""
    if isinstance(value, str) and value in (FULL, *PERCENTILES):
        return value
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ValueError(ALLOWED)
    shares = [_percentage(bound) for bound in value]
    if all(isinstance(bound, int | float) and not isinstance(bound, bool) for bound in value):
        shares = [float(bound) for bound in value]
    elif not all(share is not None and 0 <= share <= 100 for share in shares):
        raise ValueError(ALLOWED)
    low, high = shares
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"{ALLOWED}; low must be smaller than high")
    return value[0], value[1]


ValueRange = Annotated[str | tuple[float | str, float | str], BeforeValidator(parse_value_range)]


def limits(value_range: ValueRange, values: NDArray[Any]) -> tuple[float, float]:
    """Return the limits that become black and white in an image of pixel ``values``. ``value_range`` may not be ``full``.

    Raises:
        ValueError: no value of the image is finite.
    """
    low, high = PERCENTILES[value_range] if isinstance(value_range, str) else value_range
    shares = (low, high) if isinstance(value_range, str) else (_percentage(low), _percentage(high))
    if None in shares:
        return float(low), float(high)
    finite = values[np.isfinite(values)]
    if not finite.size:
        raise ValueError("no pixel has a finite value")
    least, most = np.percentile(finite, np.asarray(shares, np.float64))
    return float(least), float(most)


def shown(value_range: ValueRange) -> str:
    """Return the setting as it is written on a command line."""
    return value_range if isinstance(value_range, str) else f"[{value_range[0]}, {value_range[1]}]"


def _percentage(bound: Any) -> float | None:
    """Return the number in a text such as ``2%``; None for any other value."""
    if not isinstance(bound, str) or not bound.endswith("%"):
        return None
    try:
        return float(bound[:-1])
    except ValueError:
        return None
