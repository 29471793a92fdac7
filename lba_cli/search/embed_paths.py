"""Embed image files one batch at a time, in constant memory; threads decode images while the model computes."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lba_cli.data.broken_images import BrokenImage
from lba_cli.data.image_files import decode_image
from lba_cli.data.parallel import cores
from lba_cli.data.pixel_values import DecodedImage, count_facts, warn_of_values
from lba_cli.errors import DataError, one_line
from lba_cli.reporting import Listener
from lba_cli.search.embedder import Embedder
from lba_cli.vocabulary import Modality


@dataclass(frozen=True)
class EmbeddingRequest:
    """Image files of one modality, the model that embeds them, and the number of images in a batch.

    If ``skip_broken`` is set, images that can't be decoded are left out instead of refused.
    """

    embedder: Embedder
    modality: Modality
    paths: Sequence[str]
    batch_size: int
    skip_broken: bool = False


class UnreadableImage(NamedTuple):
    """An image that can't be decoded: its position among the paths, and the reason."""

    position: int
    reason: str


class EmbeddedBatch(NamedTuple):
    """A batch of embedded images.

    Attributes:
        begin, stop: the first position, among all paths, and the one after the last.
        positions: the n positions whose images are embedded.
        vectors: (n, D) float32, in the same order.
        unreadable: the images at the other positions.
        facts: the numbers of images with unusual pixel values, see :mod:`lba_cli.data.pixel_values`.
    """

    begin: int
    stop: int
    positions: list[int]
    vectors: NDArray[np.float32]
    unreadable: list[UnreadableImage]
    facts: Mapping[str, int] = {}


def embed_paths(
    request: EmbeddingRequest, listener: Listener, ranges: Sequence[tuple[int, int]] | None = None
) -> Iterator[EmbeddedBatch]:
    """Embed the images of ``request`` in order, and yield each batch.

    ``ranges`` are the positions to embed: the first of each range, and the one after its last. By default, all images are embedded.
    """
    wanted = [(0, len(request.paths))] if ranges is None else ranges
    size = request.batch_size
    batches = [(at, min(at + size, stop)) for begin, stop in wanted for at in range(begin, stop, size)]
    pool = ThreadPoolExecutor(cores())

    def submit(number: int) -> list[Future[DecodedImage | BrokenImage]]:
        begin, stop = batches[number] if number < len(batches) else (0, 0)
        return [pool.submit(_read, path, request.embedder) for path in request.paths[begin:stop]]

    try:
        with listener.task("embedding", sum(stop - begin for begin, stop in wanted), "images") as progress:
            ahead = submit(0)
            for number, (begin, _) in enumerate(batches):
                batch, ahead = ahead, submit(number + 1)
                yield _embed(request, begin, [future.result() for future in batch])
                progress.advance(len(batch))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def embedded_rows(request: EmbeddingRequest, listener: Listener) -> Iterator[tuple[list[str], NDArray[np.float32]]]:
    """Yield the paths and the vectors of each batch. At the end, the listener is warned as by :func:`report_images`.

    Raises:
        DataError: at the end, if images can't be decoded and the request doesn't skip them.
    """
    unreadable: list[UnreadableImage] = []
    facts: Counter[str] = Counter()
    for batch in embed_paths(request, listener):
        unreadable += batch.unreadable
        facts.update(batch.facts)
        yield [request.paths[position] for position in batch.positions], batch.vectors
    report_images(unreadable, facts, request, listener)


def report_images(
    unreadable: Sequence[UnreadableImage], facts: Mapping[str, int], request: EmbeddingRequest, listener: Listener
) -> None:
    """Warn about each unreadable image, and about images with unusual pixel values, which ``facts`` counts.

    Raises:
        DataError: there are unreadable images, and the request doesn't skip them; the message names them.
    """
    lines = [one_line(f"{request.paths[each.position]}: {each.reason}") for each in unreadable]
    if lines and not request.skip_broken:
        raise DataError(
            f"{len(lines)} of {len(request.paths)} images can't be decoded; replace them, or leave them out with "
            "--skip-broken" + "".join(f"\n  {line}" for line in lines)
        )
    for line in lines:
        listener.warn(f"left out {line}")
    warn_of_values(listener, facts, len(request.paths) - len(lines), request.embedder.value_range)


def _read(path: str, embedder: Embedder) -> DecodedImage | BrokenImage:
    try:
        return decode_image(path, embedder.height, embedder.width, embedder.value_range)
    except BrokenImage as problem:
        return problem


def _embed(request: EmbeddingRequest, begin: int, decoded: Sequence[DecodedImage | BrokenImage]) -> EmbeddedBatch:
    images, unreadable, facts = {}, [], []
    for position, image in enumerate(decoded, start=begin):
        if isinstance(image, BrokenImage):
            unreadable.append(UnreadableImage(position, str(image)))
        else:
            images[position] = image.pixels
            facts.append(image.facts)
    vectors = np.empty((0, request.embedder.dimension), np.float32)
    if images:
        vectors = request.embedder.embed(np.stack(list(images.values())), request.modality)
    return EmbeddedBatch(begin, begin + len(decoded), list(images), vectors, unreadable, count_facts(facts))
