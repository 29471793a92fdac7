"""A gallery in Milvus: what it keeps, and how it is changed and searched. For making and opening one, see :mod:`lba_cli.search.milvus`."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lba_cli.errors import SearchError, quoted
from lba_cli.search.gallery import AGAIN, Gallery, Hit, IndexDescription, Rows, checked_rows
from lba_cli.search.image_paths import find_stored
from lba_cli.search.query import LARGEST_SCORE, rounding_margin

ROWS_AT_ONCE = 1024  # of 2,048 numbers: 8 MiB, an eighth of what a server accepts in a message
QUERIES_AT_ONCE = 64
MOST_CANDIDATES = 16_384  # Milvus's limit
SPARE_CANDIDATES = 16
LONGEST_IDENTITY = 1024  # bytes
CONTROL = re.compile(r"[\x00-\x1f\x7f]")  # Milvus Lite doesn't read all escapes of such characters


class Label(NamedTuple):
    """What is known of an image besides its path: the identity and the camera's number; None if one isn't known."""

    identity: str | None
    camera: int | None


class _Stored(NamedTuple):
    path: str
    vector: NDArray[np.float32]
    identity: str | None
    camera: int | None


class CollectionDescription(IndexDescription):
    """The description that a collection keeps.

    Attributes:
        gallery: the gallery's name.
        approximate: whether the collection has an approximate index (HNSW) instead of an exact one.
    """

    gallery: str
    approximate: bool
    format: Literal["lba-milvus-gallery"] = "lba-milvus-gallery"
    version: Literal[1] = 1


class MilvusGallery(Gallery):
    """An open gallery in Milvus.

    Args:
        client: the connection.
        uri, name: the place and the name of the gallery, for messages.
        collection, description: the collection that holds it, and its description.
    """

    def __init__(self, client: Any, uri: str, name: str, collection: str, description: CollectionDescription) -> None:
        self._client, self.collection, self._description = client, collection, description
        self._place = f"{name} in {uri}"

    @property
    def place(self) -> str:
        """The gallery's name, and Milvus's place."""
        return self._place

    @property
    def description(self) -> CollectionDescription:
        """The properties that all vectors share."""
        return self._description

    @property
    def images(self) -> int:
        """The number of images in the gallery, as Milvus counts them now."""
        (row,) = self._client.query(self.collection, filter="", output_fields=["count(*)"])
        return int(row["count(*)"])

    def facts(self) -> dict[str, str]:
        """Return the kind of the index, and the collection that holds it."""
        kind = "approximate (HNSW)" if self.description.approximate else "exact (FLAT)"
        return {"Milvus": f"collection {self.collection}, {kind}"}

    def add(self, rows: Rows, labels: Mapping[str, Label]) -> int:
        """Add ``rows``; existing vectors of the same paths are replaced. Return how many were replaced.

        Images that have no new label keep the one that is stored.
        """
        before, added = self.images, 0
        for paths, vectors in blocks(checked_rows(rows, self.description.dimension)):
            known = {**self._stored_labels([path for path in paths if path not in labels]), **labels}
            self._client.upsert(self.collection, entities(paths, vectors, known))
            added += len(paths)
        return before + added - self.images

    def remove(self, names: Sequence[str]) -> int:
        """Remove the images that ``names`` refer to: paths of images or folders, or globs. Return how many there were.

        Raises:
            SearchError: a name matches no image of the gallery, or no image would be left; nothing is removed.
        """
        gone: set[str] = set()
        for name in names:
            matching = find_stored(name, self._paths)
            if not matching:
                raise SearchError(
                    f"{self.place}: {quoted(name, 200)}: matches no image in the index; nothing was removed"
                )
            gone |= matching
        if len(gone) == self.images:
            raise SearchError(f"{self.place}: no image would be left; replace it with lba search build --force instead")
        for block in _chunks(sorted(gone)):
            self._client.delete(self.collection, ids=list(map(key_of, block)))
        return len(gone)

    def search(self, queries: NDArray[np.float32], top: int) -> list[list[Hit]]:
        """Find the ``top`` images for each of (q, D) unit vectors, best first; ties are in the order of the paths.

        Without an approximate index, the lists are those of the exact engine.
        """
        lists: list[list[Hit]] = []
        for start in range(0, len(queries), QUERIES_AT_ONCE):
            piece = queries[start : start + QUERIES_AT_ONCE]
            found = self._candidates(piece, top)
            stored = self._stored(sorted({key for keys in found for key in keys}))
            lists += [self._rank(query, keys, stored, top) for query, keys in zip(piece, found, strict=True)]
        return lists

    def _candidates(self, queries: NDArray[np.float32], top: int) -> list[list[str]]:
        """Return for each query the keys of the best ``top`` images by Milvus's scores, and all that tie within rounding."""
        most, limit = min(self.images, MOST_CANDIDATES), top + SPARE_CANDIDATES
        margin = rounding_margin(queries.shape[1])
        while True:
            limit = min(limit, most)
            options = {"metric_type": "IP", "params": {"ef": 2 * limit} if self.description.approximate else {}}
            found = self._client.search(
                self.collection, data=queries.tolist(), limit=limit, anns_field="vector", search_params=options
            )
            scores = [[float(hit["distance"]) for hit in hits] for hits in found]
            tied = any(len(each) > top and each[-1] >= each[top - 1] - margin for each in scores)
            if limit == most or not tied:
                return [[hit["id"] for hit in hits] for hits in found]
            limit *= 2

    def _stored_labels(self, paths: Sequence[str]) -> dict[str, Label]:
        return {
            row["path"]: Label(row["identity"], row["camera"])
            for block in _chunks(list(map(key_of, paths)))
            for row in self._client.get(self.collection, ids=block, output_fields=["path", "identity", "camera"])
        }

    def _stored(self, keys: Sequence[str]) -> dict[str, _Stored]:
        """Return what is stored under these keys. Some may be missing: another process has just removed them."""
        fields = ["id", "path", "vector", "identity", "camera"]
        return {
            row["id"]: _Stored(row["path"], np.asarray(row["vector"], np.float32), row["identity"], row["camera"])
            for block in _chunks(keys)
            for row in self._client.get(self.collection, ids=block, output_fields=fields)
        }

    def _rank(self, query: NDArray[np.float32], keys: list[str], stored: Mapping[str, _Stored], top: int) -> list[Hit]:
        """Rank the candidates by float64 scores, as the exact engine does."""
        images = sorted((stored[key] for key in keys if key in stored), key=lambda image: image.path)
        vectors = np.asarray([image.vector for image in images], np.float64).reshape(-1, len(query))
        scores = (vectors * query.astype(np.float64)).sum(axis=1)
        if not (np.abs(scores) <= LARGEST_SCORE).all():  # NaN included
            raise SearchError(f"{self.place}: holds vectors that are not of unit length; {AGAIN}")
        order = np.argsort(-scores, kind="stable")[:top].tolist()
        best = [(images[at], float(scores[at])) for at in order]
        return [Hit(-1, image.path, score, image.identity, image.camera) for image, score in best]

    def _paths(self, first: str, past: str) -> Iterator[str]:
        """Yield the stored paths from ``first`` up to but without ``past``, by their code points, in any order."""
        if unquotable := CONTROL.search(first + past):  # the range may be wider, but not narrower
            first = first[: unquotable.start()]
            past = f"{first}\U0010ffff"
        wanted = f"path >= {_literal(first)} and path < {_literal(past)}"
        rows = self._client.query_iterator(self.collection, ROWS_AT_ONCE, filter=wanted, output_fields=["path"])
        try:
            while block := rows.next():
                yield from (row["path"] for row in block)
        finally:
            rows.close()


def key_of(path: str) -> str:
    """Return the primary key of an image. A path may be too long for one, and pymilvus doesn't escape quotes in keys."""
    return hashlib.sha256(path.encode()).hexdigest()


def entities(paths: Sequence[str], vectors: NDArray[np.float32], labels: Mapping[str, Label]) -> list[dict[str, Any]]:
    """Return n paths and their (n, D) vectors as rows of a collection."""
    unknown = Label(None, None)
    return [
        {"id": key_of(path), "path": path, "vector": vector, **labels.get(path, unknown)._asdict()}
        for path, vector in zip(paths, vectors, strict=True)
    ]


def blocks(rows: Rows) -> Rows:
    """Join rows to blocks of at least ``ROWS_AT_ONCE``, and the last one."""
    names: list[str] = []
    found: list[NDArray[np.float32]] = []
    for paths, vectors in rows:
        names += paths
        found.append(vectors)
        if len(names) >= ROWS_AT_ONCE:
            yield names, np.concatenate(found)
            names, found = [], []
    if names:
        yield names, np.concatenate(found)


def _chunks(paths: Sequence[str]) -> Iterator[list[str]]:
    for start in range(0, len(paths), ROWS_AT_ONCE):
        yield list(paths[start : start + ROWS_AT_ONCE])


def _literal(text: str) -> str:
    """Return ``text`` as a string of Milvus's filter language."""
    return json.dumps(text, ensure_ascii=False)
