"""Truth maps as files: ``truth/cam1/0001/0001.png`` for the image ``cam1/0001/0001.jpg``.

A file is a greyscale PNG of 16 bits, as wide as the image and three times as high. Its thirds are, from the top:

- the number of the part, 0 where the person isn't seen;
- the place along the part, in 10,000ths of the person's height, plus 5,000;
- the angle around the part, in tenths of a degree, from the back of the body.

The PNG's text ``lba-truth`` is JSON: the format's ``version``, the person's ``height`` in pixels, and ``image``, the
:func:`~lba_cli.manifest.file_digest` of the image that the map belongs to.
"""

import json
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from lba_cli.errors import DataError, is_resource_error
from lba_cli.manifest import file_digest
from lba_cli.synthetic.parts import PARTS
from lba_cli.synthetic.truth import Truth

FOLDER = "truth"
AGAIN = "draw the people again with lba prepare synthetic --truth"
SIXTEEN_BITS = ("I;16", "I")  # how Pillow opens such a file from version 10.3 on, and before
_KEY, _VERSION = "lba-truth", 1
_STEPS, _ZERO, _TURN = 10_000, 5_000, 3_600


def truth_path(root: Path, image: str) -> Path:
    """Return the path of an image's truth map. ``image`` is the image's path relative to ``root``."""
    return (root / FOLDER / image).with_suffix(".png")


def write_truth(root: Path, image: str, truth: Truth) -> None:
    """Write the truth about ``image``, a path relative to ``root``. Places and angles are rounded to the format's steps."""
    seen = truth.part > 0
    along = np.where(seen, np.rint(truth.along * _STEPS) + _ZERO, 0)
    angle = np.where(seen, np.rint((truth.angle / (2 * np.pi) + 0.5) * _TURN) % _TURN, 0)
    facts = {"version": _VERSION, "height": round(truth.height, 4), "image": file_digest(root / image)}
    info = PngImagePlugin.PngInfo()
    info.add_text(_KEY, json.dumps(facts))
    path = truth_path(root, image)
    path.parent.mkdir(parents=True, exist_ok=True)
    planes = np.concatenate([truth.part, along, angle]).astype(np.uint16)
    Image.fromarray(planes).save(path, pnginfo=info)


def read_truth(root: Path, image: str) -> Truth:
    """Read the truth about ``image``, a path relative to ``root``.

    Raises:
        DataError: the map is missing or damaged, has another format version, or belongs to another image.
    """
    path = truth_path(root, image)
    try:
        with Image.open(root / image) as picture:
            width, height = picture.size
        with Image.open(path, formats=("PNG",)) as opened:
            facts = json.loads(getattr(opened, "text", {}).get(_KEY, ""))
            version, digest, person = facts["version"], facts["image"], float(facts["height"])
            fits = opened.size == (width, 3 * height) and opened.mode in SIXTEEN_BITS
            planes = np.asarray(opened).reshape(3, height, width) if fits else None
    except FileNotFoundError as problem:
        raise DataError(f"{problem.filename}: missing: {AGAIN}") from problem
    except Exception as problem:  # Pillow raises errors of many types for damaged files
        if is_resource_error(problem):
            raise
        raise DataError(f"{path}: a damaged truth map: {AGAIN}") from problem
    if version != _VERSION:
        raise DataError(f"{path}: has version {version} of the format, not {_VERSION}: {AGAIN}")
    if planes is None or digest != file_digest(root / image):
        raise DataError(f"{path}: belongs to another image than {root / image}: {AGAIN}")
    if planes[0].max(initial=0) > len(PARTS) or not 0 < person < np.inf:
        raise DataError(f"{path}: a damaged truth map: {AGAIN}")
    seen = planes[0] > 0
    along = np.where(seen, (planes[1] - float(_ZERO)) / _STEPS, 0.0)
    angle = np.where(seen, (planes[2] / _TURN - 0.5) * 2 * np.pi, 0.0)
    return Truth(planes[0].astype(np.uint8), along, angle, person)
