"""Patterns that find the identity, modality, camera and split of a user's own images in the paths of the images."""

import re
import unicodedata
from collections.abc import Iterable
from typing import cast

from lba_cli.data.samples import NO_CAMERA
from lba_cli.datasets.layout import MODALITY_WORDS
from lba_cli.datasets.own_images import OwnImage, modality_named
from lba_cli.datasets.scan import camera_in_name
from lba_cli.vocabulary import ALL_SPLITS, Split

EXAMPLE = "<modality>/<identity>_c<camera>_*"
LONGEST_PATTERN = 200
_FIELDS = {
    "modality": f"(?i:{'|'.join(word for words in MODALITY_WORDS.values() for word in words)})",
    "identity": "[^/]+?",
    "camera": "[0-9]{1,9}(?![0-9])",
    "split": f"(?i:{'|'.join(ALL_SPLITS)})",
}
_WILDCARDS = {"*": "[^/]*?", "**": ".*?", "**/": "(?:.*?/)?"}
_PARTS = re.compile(r"(<[^<>/]*>|\*\*/|\*\*|\*)")


class PathPattern:
    """A pattern of paths relative to the root, such as ``<modality>/<identity>_c<camera>_*``.

    ``<identity>`` matches any text within a name, and ``<camera>`` a whole number. ``<modality>`` matches a word for a modality
    (``visible``, ``rgb``, ``infrared``, ``thermal``, …) and ``<split>`` the name of a split, both in any letter case. ``*``
    matches any text within a name, ``**`` any text, and ``**/`` any number of folders. All other text matches itself. From left
    to right, each part matches as little text as possible, but always a whole number. A field that occurs twice must have the
    same text in both places.

    Raises:
        ValueError: the pattern is malformed, or can't find the identity and the modality; the message says why.
    """

    def __init__(self, pattern: str) -> None:
        self.text = pattern
        parts = [part for part in _PARTS.split(pattern.removeprefix("./")) if part]
        fields = [part[1:-1] for part in parts if part.startswith("<") and part.endswith(">")]
        if not _FIELDS.keys() >= set(fields):
            raise ValueError(f"should be made of {', '.join(f'<{name}>' for name in _FIELDS)}, * and other text")
        if lacking := [name for name in ("modality", "identity") if name not in fields]:
            raise ValueError(f"should contain <{lacking[0]}>, as {EXAMPLE} does")
        if len(pattern) > LONGEST_PATTERN or pattern.startswith("/") or "\\" in pattern or ".." in pattern.split("/"):
            raise ValueError(f"should be a path relative to the root, with forward slashes, as {EXAMPLE}")
        for part, following in zip(parts, [*parts[1:], "<"], strict=True):
            if part == "<identity>" and following[0] in "<*":
                raise ValueError(
                    "text that ends the identity should follow <identity>, as in <identity>_* or <identity>/*"
                )
        self._expression = _compile(parts)
        first, _, rest = pattern.removeprefix("./").partition("/")
        self._first = _compile(_PARTS.split(first)) if rest and "**" not in first else None

    def may_begin_with(self, folder: str) -> bool:
        """Return whether images in the root's subfolder called ``folder`` can match."""
        return not self._first or bool(self._first.fullmatch(folder))

    def image(self, path: str) -> OwnImage | None:
        """Return the image that ``path`` describes; None if the path doesn't match.

        Without ``<camera>`` in the pattern, ``_c`` and a number in the file name name the camera.
        """
        found = self._expression.fullmatch(path)
        if not found:
            return None
        fields = found.groupdict()
        camera = int(fields["camera"]) if "camera" in fields else camera_in_name(path.rsplit("/", 1)[-1])
        split = cast(Split, fields["split"].lower()) if "split" in fields else None
        modality = modality_named(fields["modality"])
        assert modality  # the expression takes no other words
        return OwnImage(path, unicodedata.normalize("NFC", fields["identity"]), modality, camera, path, split)


def suggested_pattern(name: str) -> str:
    """Return a pattern for images that have names like ``name`` and lie directly in the folder of their modality."""
    return EXAMPLE.replace("_*", "*") if camera_in_name(name) != NO_CAMERA else "<modality>/<identity>_*"


def _compile(parts: Iterable[str]) -> re.Pattern[str]:
    seen: set[str] = set()
    return re.compile("".join(_expression(part, seen) for part in parts))


def _expression(part: str, seen: set[str]) -> str:
    name = part[1:-1]
    if part in _WILDCARDS:
        return _WILDCARDS[part]
    if not (part.startswith("<") and name in _FIELDS):
        return re.escape(part)
    again = name in seen
    seen.add(name)
    return f"(?P={name})" if again else f"(?P<{name}>{_FIELDS[name]})"
