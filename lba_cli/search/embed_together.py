"""Embed images in one or several processes, continuing where an earlier attempt was stopped."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from lba_cli import processes
from lba_cli.errors import DataError, Interrupted, Terminated
from lba_cli.locks import exclusive, lock_beside
from lba_cli.reporting import Listener
from lba_cli.search.embed_paths import EmbeddingRequest, embed_paths, report_images
from lba_cli.search.partial_embedding import KeptEmbedding, PartialEmbedding, fingerprint_of
from lba_cli.signals import signals_deferred


@contextmanager
def embedded(request: EmbeddingRequest, output: Path, listener: Listener) -> Iterator[KeptEmbedding | None]:
    """Embed the images of ``request`` for ``output``; yield the vectors on the writer, and None on the other processes.

    Each process embeds an equal part of the images. Each batch is kept in a hidden folder beside ``output``, see
    :mod:`lba_cli.search.partial_embedding`, which all processes must share. If the work is stopped for any reason, even within the
    caller's block, the same call continues from there, with the same result. Vectors kept from another model or from other
    images are discarded. The processes leave the block together.

    Raises:
        LbaError: another job is embedding for ``output``, or vectors of other processes are missing.
        DataError: images can't be decoded and the request doesn't skip them, or the processes see different images.
        Interrupted: a signal stopped the work; the message says how many images are done.
    """
    world = processes.current()
    partial = PartialEmbedding(output, request.embedder.dimension, request.paths)
    lock = exclusive(lock_beside(partial.path), f"embedding for {output}") if world.is_writer else nullcontext()
    with lock, _interrupts_say_how_many(partial, output, len(request.paths)):
        ranges = _begin(partial, request, output, listener)
        for batch in embed_paths(request, listener, ranges):
            partial.add(batch)
        processes.wait_for_all()
        if world.is_writer:
            kept = partial.collect()
            report_images(kept.unreadable, kept.facts, request, listener)
            try:
                yield kept
            except BaseException:
                if not kept.paths:  # there is nothing to continue
                    partial.discard()
                raise
            with signals_deferred():  # the output is there, so an interruption can't continue this work
                partial.discard()
        else:
            yield None
        processes.wait_for_all()


def _begin(
    partial: PartialEmbedding, request: EmbeddingRequest, output: Path, listener: Listener
) -> list[tuple[int, int]]:
    """Return the ranges of positions that this process embeds."""
    fingerprint = fingerprint_of(request)
    beginning = processes.run_on_writer(lambda: partial.begin(fingerprint))
    if beginning.fingerprint != fingerprint:
        raise DataError(
            "the processes of this job see different images: the same files must be at the same paths on all machines"
        )
    if beginning.discarded:
        listener.say(
            f"{output}: vectors of an unfinished earlier attempt with another model or other images are discarded"
        )
    ranges = partial.share(beginning, processes.current())
    if partial.done:
        listener.say(f"{output}: continuing after {partial.done} of {len(request.paths)} images")
    return ranges


@contextmanager
def _interrupts_say_how_many(partial: PartialEmbedding, output: Path, total: int) -> Iterator[None]:
    """Replace a signal's exception within the block by an :class:`Interrupted` that says how many images are done.

    Of several processes, none knows how many images are done. Nothing can be continued before the work has begun, or if the output
    has appeared.
    """
    replaces = output.exists()
    try:
        yield
    except (KeyboardInterrupt, Terminated) as stop:
        complete = output.exists() and not replaces
        if processes.current().size > 1 or complete or not partial.begun:
            raise
        number = stop.signal if isinstance(stop, Terminated) else signal.SIGINT
        message = f"stopped after {partial.done} of {total} images; the same command continues from there"
        raise Interrupted(number, message) from stop
