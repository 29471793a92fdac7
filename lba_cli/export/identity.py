"""Which network an exported file embeds with, and whether the file is still what was written and checked.

A file names the network that it was made from (``network``, the fingerprint of the weights in float32). An ONNX file is
sealed as well: its metadata hold the SHA-256 of the file as it is with zeros in the seal's place, so that a file that was
damaged, quantised or edited afterwards no longer passes for that network.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from lba_cli.vocabulary import ExportPrecision

UNSEALED = "0" * 64


def identity(network: str, precision: ExportPrecision) -> str:
    """What says that vectors can be compared: the network itself in float32, another name for each half precision."""
    return network if precision == "float32" else hashlib.sha256(f"{network} {precision}".encode()).hexdigest()


def seal(path: Path) -> None:
    """Put its seal into a file whose metadata hold ``UNSEALED`` in its place."""
    content = path.read_bytes()
    place = _place(content, UNSEALED)
    assert place >= 0
    with path.open("r+b") as file:
        file.seek(place)
        file.write(_digest(content, place).encode())


def is_sealed(path: Path, told: str) -> bool:
    """Whether the file is, to the byte, what was sealed; ``told`` is the seal that its metadata tell."""
    content = path.read_bytes()
    place = _place(content, told)
    return place >= 0 and _digest(content, place) == told


def _place(content: bytes, told: str) -> int:
    """Where the seal is: the last that is told, because metadata come last in ONNX."""
    mark = b'"seal": "'
    found = content.rfind(mark + told.encode() + b'"')
    return found + len(mark) if found >= 0 else -1


def _digest(content: bytes, place: int) -> str:
    whole = memoryview(content)
    digest = hashlib.sha256(whole[:place])
    digest.update(UNSEALED.encode())
    digest.update(whole[place + len(UNSEALED) :])
    return digest.hexdigest()
