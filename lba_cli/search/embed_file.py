"""Embed any images into a file, and go on where an earlier attempt was stopped."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lba_cli.errors import Interrupted, Terminated
from lba_cli.files import whole_file
from lba_cli.locks import exclusive, lock_beside
from lba_cli.outputs import require_new_file
from lba_cli.reporting import Listener
from lba_cli.search.embed_paths import broken_lines, embed_paths, require_all
from lba_cli.search.embedder import Embedder
from lba_cli.search.unfinished import Unfinished, fingerprint_of
from lba_cli.search.vector_files import FORMATS, VectorTable
from lba_cli.vocabulary import Modality


@dataclass(frozen=True)
class Embedded:
    """What was written: how many vectors of what length, and a line for each image that was left out."""

    images: int
    dimension: int
    left_out: list[str]


def embed_to_file(
    embedder: Embedder,
    modality: Modality,
    paths: Sequence[str],
    output: Path,
    *,
    batch_size: int,
    listener: Listener,
    skip_broken: bool = False,
    force: bool = False,
) -> Embedded:
    """Embed the images at ``paths``, in this order, into ``output``, whole or not at all.

    Every batch is kept in a hidden folder beside ``output`` (see :mod:`lba_cli.search.unfinished`), so that the same call goes
    on after whatever stopped it, with the same result (to the bit, where it computes with as many threads). A state of
    another model or of other images is thrown away.

    Raises:
        LbaError: ``output`` can't be written, or another process writes it. DataError: images are broken and
            ``skip_broken`` isn't given. Interrupted: by a signal; says how many are done.
    """
    require_new_file(output, force=force, suffixes=tuple(FORMATS))
    state = Unfinished(output, embedder.dimension, len(paths))
    with exclusive(lock_beside(output), f"embedding into {output}"):
        try:
            if state.begin(fingerprint_of(embedder, modality, paths, batch_size)):
                listener.say(f"{output}: what was begun with another model or other images is thrown away")
            if state.done:
                listener.say(f"{output}: going on after {state.done} of {len(paths)} images")
            for batch in embed_paths(
                embedder, modality, paths, batch_size=batch_size, listener=listener, start=state.done
            ):
                state.add(batch)
            if not skip_broken:
                require_all(state.broken, paths)
            broken = {each.place for each in state.broken}
            kept = [path for place, path in enumerate(paths) if place not in broken]
            model = (modality, embedder.fingerprint, embedder.height, embedder.width)
            with whole_file(output, replace=force) as partial:
                FORMATS[output.suffix.lower()](partial, VectorTable(kept, state.vectors, embedder.dimension, *model))
            state.discard()
        except (KeyboardInterrupt, Terminated) as stop:
            number = stop.signal if isinstance(stop, Terminated) else signal.SIGINT
            raise Interrupted(
                number, f"stopped after {state.done} of {len(paths)} images; the same command goes on from there"
            ) from stop
    return Embedded(len(kept), embedder.dimension, broken_lines(state.broken, paths))
