"""From paths to vectors, a batch at a time: images are decoded by threads while the model computes; memory is constant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lba_cli.data.image_files import BrokenImage, read_image
from lba_cli.data.parallel import cores
from lba_cli.errors import DataError
from lba_cli.reporting import Listener
from lba_cli.search.embedder import Embedder
from lba_cli.vocabulary import Modality

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Broken(NamedTuple):
    """An image that can't be decoded: its place among the paths, and why."""

    place: int
    reason: str


class Batch(NamedTuple):
    """A batch of embedded images.

    Attributes:
        start, stop: which of the paths it is.
        places: those of them that are embedded, (n,).
        vectors: theirs, (n, D) float32.
        broken: the others.
    """

    start: int
    stop: int
    places: list[int]
    vectors: NDArray[np.float32]
    broken: list[Broken]


def embed_paths(
    embedder: Embedder,
    modality: Modality,
    paths: Sequence[str],
    *,
    batch_size: int,
    listener: Listener,
    start: int = 0,
) -> Iterator[Batch]:
    """Embed the images at ``paths`` from ``start`` on, in their order; the batches don't depend on ``start``.

    Batches begin at multiples of ``batch_size``, so that work that goes on from one gives the same bits. (In other
    batches the same image's vector may differ in the last bits, because matrix products are summed in another order.)
    """
    bounds = [(at, min(at + batch_size, len(paths))) for at in range(start, len(paths), batch_size)]
    pool = ThreadPoolExecutor(cores())
    try:
        with listener.task("embedding", len(paths), "images", start) as progress:
            ahead = [_submit(pool, embedder, paths, *bound) for bound in bounds[:1]]
            for number, (begin, end) in enumerate(bounds):
                ahead += [_submit(pool, embedder, paths, *bound) for bound in bounds[number + 1 : number + 2]]
                yield _embed(embedder, modality, begin, [future.result() for future in ahead.pop(0)])
                progress.advance(end - begin)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def embedded_rows(
    embedder: Embedder,
    modality: Modality,
    paths: Sequence[str],
    left_out: list[str],
    *,
    batch_size: int,
    listener: Listener,
    skip_broken: bool,
) -> Iterator[tuple[list[str], NDArray[np.float32]]]:
    """Yield the paths and the vectors of batches; a line for each broken image is added to ``left_out``.

    Raises:
        DataError: at the end, when images are broken and ``skip_broken`` isn't given.
    """
    broken: list[Broken] = []
    for batch in embed_paths(embedder, modality, paths, batch_size=batch_size, listener=listener):
        broken += batch.broken
        yield [paths[place] for place in batch.places], batch.vectors
    if not skip_broken:
        require_all(broken, paths)
    left_out += broken_lines(broken, paths)


def broken_lines(broken: Sequence[Broken], paths: Sequence[str]) -> list[str]:
    """A line for each broken image."""
    return [f"{paths[each.place]}: {each.reason}" for each in broken]


def require_all(broken: Sequence[Broken], paths: Sequence[str]) -> None:
    """Refuse to go on without the broken images.

    Raises:
        DataError: there are some; each is named.
    """
    if broken:
        lines = "\n".join(f"  {line}" for line in broken_lines(broken, paths))
        raise DataError(
            f"{len(broken)} of {len(paths)} images can't be decoded; replace them, or leave them out with --skip-broken\n"
            f"{lines}"
        )


def _submit(
    pool: ThreadPoolExecutor, embedder: Embedder, paths: Sequence[str], begin: int, end: int
) -> list[Future[NDArray[np.uint8] | BrokenImage]]:
    return [pool.submit(_read, path, embedder.height, embedder.width) for path in paths[begin:end]]


def _read(path: str, height: int, width: int) -> NDArray[np.uint8] | BrokenImage:
    try:
        return read_image(path, height, width)
    except BrokenImage as problem:
        return problem


def _embed(
    embedder: Embedder, modality: Modality, begin: int, decoded: Sequence[NDArray[np.uint8] | BrokenImage]
) -> Batch:
    images = {begin + row: image for row, image in enumerate(decoded) if not isinstance(image, BrokenImage)}
    broken = [Broken(begin + row, str(each)) for row, each in enumerate(decoded) if isinstance(each, BrokenImage)]
    if images:
        vectors = embedder.embed(np.stack(list(images.values())), modality)
    else:
        vectors = np.empty((0, embedder.dimension), np.float32)
    return Batch(begin, begin + len(decoded), list(images), vectors, broken)
