"""Embed images into a file, continuing where an earlier attempt was stopped."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lba_cli.errors import Interrupted, Terminated
from lba_cli.files import whole_file
from lba_cli.locks import exclusive, lock_beside
from lba_cli.outputs import require_new_file
from lba_cli.reporting import Listener
from lba_cli.search.embed_paths import EmbeddingRequest, embed_paths, report_images
from lba_cli.search.partial_embedding import PartialEmbedding, fingerprint_of
from lba_cli.search.vector_files import FORMATS, VectorTable


def embed_to_file(request: EmbeddingRequest, output: Path, *, listener: Listener, force: bool = False) -> int:
    """Embed the images of ``request``, in order, into ``output``, and return how many vectors were written.

    The file is written atomically. Each batch is kept in a hidden folder beside ``output``, see
    :mod:`lba_cli.search.partial_embedding`. If the work is stopped for any reason, the same call continues from there,
    with the same result. Vectors kept from another model or from other images are discarded.

    Raises:
        LbaError: ``output`` can't be written, or another process is writing it.
        DataError: images can't be decoded and the request doesn't skip them.
        Interrupted: a signal stopped the work; the message says how many images are done.
    """
    require_new_file(output, force=force, suffixes=tuple(FORMATS))
    paths, embedder = request.paths, request.embedder
    partial = PartialEmbedding(output, embedder.dimension, len(paths))
    with exclusive(lock_beside(output), f"embedding into {output}"), _interrupts_say_how_many(partial, len(paths)):
        if partial.begin(fingerprint_of(request)):
            listener.say(f"{output}: the vectors kept from another model or from other images are discarded")
        if partial.done:
            listener.say(f"{output}: continuing after {partial.done} of {len(paths)} images")
        for batch in embed_paths(request, listener, start=partial.done):
            partial.add(batch)
        report_images(partial.unreadable, partial.facts, request, listener)
        left_out = {each.position for each in partial.unreadable}
        kept = [path for position, path in enumerate(paths) if position not in left_out]
        size = embedder.height, embedder.width
        table = VectorTable(kept, partial.vectors, embedder.dimension, request.modality, embedder.fingerprint, *size)
        with whole_file(output, replace=force) as unfinished:
            FORMATS[output.suffix.lower()](unfinished, table)
        partial.discard()
    return len(kept)


@contextmanager
def _interrupts_say_how_many(partial: PartialEmbedding, total: int) -> Iterator[None]:
    """Replace a signal's exception within the block by an :class:`Interrupted` that says how many images are done."""
    try:
        yield
    except (KeyboardInterrupt, Terminated) as stop:
        number = stop.signal if isinstance(stop, Terminated) else signal.SIGINT
        message = f"stopped after {partial.done} of {total} images; the same command continues from there"
        raise Interrupted(number, message) from stop
