"""Write a report, small enough to be sent by mail, whole or not at all."""

from __future__ import annotations

from pathlib import Path

from lba_cli.data.store import ImageSource
from lba_cli.errors import LbaError
from lba_cli.files import require_place, write_text
from lba_cli.reporting import Listener
from lba_cli.visualize.report.collect import Bounds, Subject, ask, assemble
from lba_cli.visualize.report.page import render

MOST_BYTES = 20_000_000


def write_report(
    path: Path,
    subject: Subject,
    source: ImageSource,
    *,
    listener: Listener,
    bounds: Bounds = Bounds(),
    seed: int = 0,
    force: bool = False,
    most_bytes: int = MOST_BYTES,
) -> int:
    """Write the report of ``subject`` on ``source`` to ``path`` and return its bytes.

    Where it would be larger than ``most_bytes`` it shows less, and says so.

    Raises:
        LbaError: the path can't be written (see :func:`require_free`), there is nothing to report on, or the smallest
            report is too large.
    """
    require_free(path, force)
    findings = ask(subject, source, bounds, seed, listener)
    smaller: Bounds | None = bounds
    while smaller:
        text = render(assemble(findings, smaller, bounds, listener))
        size = len(text.encode())
        if size <= most_bytes:
            write_text(path, text, replace=force)
            return size
        listener.warn(f"the report would be of {size / 1e6:.1f} MB, more than {most_bytes / 1e6:.1f}: it shows less")
        smaller = smaller.halved()
    raise LbaError(
        f"{path}: even the smallest report would be larger than {most_bytes:,} bytes: its images are too large"
    )


def require_free(path: Path, force: bool) -> None:
    """Refuse a report's path before the work for it is done.

    Raises:
        LbaError: it isn't an HTML file's name, or as :func:`lba_cli.files.require_place`.
    """
    if path.suffix.lower() not in (".html", ".htm"):
        raise LbaError(f"{path}: reports end in .html")
    require_place(path, force)
