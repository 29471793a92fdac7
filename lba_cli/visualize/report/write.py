"""Write a report that is small enough to be sent by e-mail."""

from pathlib import Path

from lba_cli.data.store import ImageSource
from lba_cli.errors import LbaError
from lba_cli.files import write_text
from lba_cli.outputs import require_new_file
from lba_cli.reporting import Listener
from lba_cli.visualize.report.collect import Bounds, Subject, analyse, assemble
from lba_cli.visualize.report.page import render

MOST_BYTES = 20_000_000
SUFFIXES = (".html", ".htm")


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
    """Write a report on a model, atomically.

    Args:
        bounds: the limits of the report's content. They are lowered, with a warning, if it would exceed ``most_bytes``.
        seed: the seed of all random choices of queries, people and images.
        force: replace an existing file.

    Returns:
        The size of the file in bytes.

    Raises:
        LbaError: the path can't be written (see :func:`lba_cli.outputs.require_new_file`), there is nothing to report, or
            even the smallest report is too large.
    """
    require_new_file(path, force=force, suffixes=SUFFIXES)
    findings = analyse(subject, source, bounds, seed, listener)
    smaller: Bounds | None = bounds
    while smaller:
        text = render(assemble(findings, smaller, bounds, listener))
        size = len(text.encode())
        if size <= most_bytes:
            write_text(path, text, replace=force)
            return size
        listener.warn(
            f"the report would take {size / 1e6:.1f} MB, more than {most_bytes / 1e6:.1f} MB, so it shows less"
        )
        smaller = smaller.halved()
    raise LbaError(
        f"{path}: even the smallest report would be larger than {most_bytes:,} bytes, because its images are too large"
    )
