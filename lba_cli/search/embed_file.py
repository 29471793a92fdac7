"""Embed images and write their vectors to a file."""

from pathlib import Path

from lba_cli.files import whole_file
from lba_cli.outputs import require_new_file
from lba_cli.reporting import Listener
from lba_cli.search.embed_paths import EmbeddingRequest
from lba_cli.search.embed_together import embedded
from lba_cli.search.vector_files import FORMATS, VectorTable


def embed_to_file(request: EmbeddingRequest, output: Path, *, listener: Listener, force: bool = False) -> int | None:
    """Embed the images of ``request``, in order, into ``output``, and return how many vectors were written.

    The file is written atomically. In a job of several processes, the writer writes it; the other processes return None. For
    interrupted work see :func:`~lba_cli.search.embed_together.embedded`.

    Raises:
        LbaError: ``output`` can't be written, or another process is writing it.
        DataError: images can't be decoded and the request doesn't skip them.
        Interrupted: a signal stopped the work; the message says how many images are done.
    """
    require_new_file(output, force=force, suffixes=tuple(FORMATS))
    embedder = request.embedder
    with embedded(request, output, listener) as kept:
        if kept is None:
            return None
        size = embedder.height, embedder.width
        table = VectorTable(kept.paths, kept.vectors, embedder.dimension, request.modality, embedder.fingerprint, *size)
        with whole_file(output, replace=force) as unfinished:
            FORMATS[output.suffix.lower()](unfinished, table)
        return len(kept.paths)
