"""A gallery in Milvus, a database of vectors for many machines: build it, change it and search it.

``pymilvus`` talks to a Milvus server, or to Milvus Lite, which keeps a gallery in a local folder whose name ends in ``.db``.

The gallery NAME is an alias of a collection ``NAME__1``, ``NAME__2``, …. A build fills a new collection and then moves the alias to it,
which is atomic; so a killed build leaves the old gallery. The collection's properties hold its description. Only
collections with such properties are ever changed or dropped.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from lba_cli.errors import MissingExtra, SearchError, quoted
from lba_cli.search.gallery import AGAIN, Rows, checked_rows
from lba_cli.search.milvus_gallery import (
    LONGEST_IDENTITY,
    CollectionDescription,
    Label,
    MilvusGallery,
    blocks,
    entities,
)

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")
SUFFIX = re.compile(r"__([1-9][0-9]{0,8})")
SCHEMES = ("http", "https", "tcp", "unix")
LOCK = "LOCK"  # a file in every folder of Milvus Lite
PROPERTY = "lba.gallery"
TOKEN = "MILVUS_TOKEN"  # the environment variable with the server's token, or user:password
LONGEST_KEY, LONGEST_PATH = 64, 65_535  # bytes
HNSW = {"M": 32, "efConstruction": 200}


@contextmanager
def open_milvus(uri: str, *, create: bool = False) -> Iterator[Any]:
    """Connect to Milvus within the block, and turn its errors into a SearchError of one line.

    Args:
        uri: the address of a server, such as ``http://localhost:19530``, or a local file ``NAME.db`` of Milvus Lite.
        create: whether a local file that doesn't exist may be made.

    Raises:
        SearchError: there is no such file or server, or an operation fails.
        MissingExtra: pymilvus isn't installed.
    """
    if not is_made(uri) and not create:
        raise SearchError(f"{uri}: no such folder; say with --uri where the gallery is")
    library, client = import_module("pymilvus"), None
    try:
        client = library.MilvusClient(uri, token=os.environ.get(TOKEN, ""))
        yield client
    except library.MilvusException as problem:
        hint = "; another process may be using it, or it is damaged" if client is None and "://" not in uri else ""
        raise SearchError(f"{uri}: Milvus says: {' '.join(str(problem.message).split())}{hint}") from problem
    finally:
        if client is not None:
            client.close()
        if "://" not in uri:  # otherwise Milvus Lite would lock the file until this process ends
            import_module("milvus_lite.server_manager").server_manager_instance.release_server(uri)


def is_made(uri: str) -> bool:
    """Return whether there may be galleries at ``uri``: false for a local file that doesn't exist yet.

    Raises:
        SearchError: there can be no Milvus.
        MissingExtra: pymilvus isn't installed.
    """
    _require_pymilvus(local="://" not in uri)
    if "://" in uri:
        _require_address(uri)
        return True
    path = Path(uri)
    if path.suffix != ".db":
        raise SearchError(f"{path}: --uri should be the address of a server, or a local name that ends in .db")
    if path.exists() and not path.is_dir():
        raise SearchError(f"{path}: is a file, but Milvus Lite keeps its data in a folder; choose another --uri")
    if path.is_dir() and any(path.iterdir()) and not (path / LOCK).exists():
        raise SearchError(f"{path}: is a folder, but not one of Milvus Lite; choose another --uri")
    if not path.absolute().parent.is_dir():
        raise SearchError(f"{path}: there is no folder {path.parent}; make it first, or choose another --uri")
    return (path / LOCK).exists()


def _require_address(uri: str) -> None:
    try:
        parts = urlsplit(uri)
        known = parts.scheme in SCHEMES and bool(parts.hostname or parts.path) and parts.port != 0
    except ValueError:  # the port isn't a number
        known = False
    if not known:
        raise SearchError(f"{uri}: not the address of a server, such as http://localhost:19530")


def require_name(name: str) -> None:
    """Raise a SearchError if Milvus can't have a gallery of this name."""
    if not NAME.fullmatch(name):
        raise SearchError(
            f"{quoted(name)}: a gallery in Milvus is given by a name, not by a folder: use letters, digits and underscores only, such as "
            "'people'"
        )
    if re.search(rf"{SUFFIX.pattern}$", name):
        raise SearchError(
            f"{name}: the collections of a gallery have such names; choose one that doesn't end in __ and a number"
        )


def require_new_gallery(client: Any, uri: str, name: str, *, replace: bool) -> None:
    """Raise a SearchError if ``name`` exists in Milvus, unless it is a gallery of ours and ``replace`` is set."""
    if not client.has_collection(name):
        return
    if _described(client, name) is None:
        raise SearchError(f"{uri}: {name} is a collection that lba didn't make; choose another name with --index")
    if not replace:
        raise SearchError(
            f"{name} in {uri}: exists already; add to it with lba search add, choose another name with --index, or replace it "
            "with --force"
        )


def open_gallery(client: Any, uri: str, name: str) -> MilvusGallery:
    """Open the gallery ``name``.

    Raises:
        SearchError: there is no such gallery, or it is not one of ours or of another format version.
    """
    require_name(name)
    if not client.has_collection(name):
        raise SearchError(
            f"{name} in {uri}: no such gallery; make it with lba search build IMAGES --index {name} --engine milvus --uri {uri}"
        )
    found = _described(client, name)
    if found is None:
        raise SearchError(f"{uri}: {name} is a collection that lba didn't make, or of another version; {AGAIN}")
    client.load_collection(name)
    gallery = MilvusGallery(client, uri, name, *found)
    if not gallery.images:
        raise SearchError(f"{gallery.place}: holds no images, so it is damaged; {AGAIN}")
    return gallery


def build_gallery(
    client: Any, uri: str, description: CollectionDescription, rows: Rows, labels: Mapping[str, Label], *, replace: bool
) -> MilvusGallery:
    """Build a gallery from ``rows``, which must be in the order of their absolute paths. Drop what an earlier build left behind.

    Raises:
        SearchError: the gallery exists (see :func:`require_new_gallery`), or there are no rows.
    """
    name = description.gallery
    require_new_gallery(client, uri, name, replace=replace)
    generations = _generations(client, name)
    collection = f"{name}__{1 + max(generations.values(), default=0)}"
    _create(client, collection, description)
    made = MilvusGallery(client, uri, name, collection, description)
    try:
        for paths, vectors in blocks(checked_rows(rows, description.dimension)):
            client.insert(collection, entities(paths, vectors, labels))
        if not made.images:
            raise SearchError("there are no images to build an index from")
        (client.alter_alias if client.has_collection(name) else client.create_alias)(collection, name)
    except BaseException:
        client.drop_collection(collection)
        raise
    for old in generations:
        if _described(client, old) is not None:
            client.drop_collection(old)
    return made


def _require_pymilvus(*, local: bool) -> None:
    """Raise MissingExtra if pymilvus isn't installed. Its own reports of errors are silenced: they are raised, too."""
    for name in ("pymilvus", *(["milvus_lite"] if local else [])):
        try:
            import_module(name)
        except ImportError as problem:
            raise MissingExtra(name.replace("_", "-"), "milvus") from problem
    for name in ("pymilvus", "milvus_lite", "grpc"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def _described(client: Any, name: str) -> tuple[str, CollectionDescription] | None:
    """Return the collection that ``name`` stands for, and its description; None if it isn't one of ours."""
    found = client.describe_collection(name)
    try:
        text = found["properties"][PROPERTY]
        return str(found["collection_name"]), CollectionDescription.model_validate_json(text)
    except (KeyError, ValidationError):
        return None


def _generations(client: Any, name: str) -> dict[str, int]:
    """Return the collections whose names are those of generations of the gallery, with their numbers."""
    matches = {each: SUFFIX.fullmatch(each.removeprefix(name)) for each in client.list_collections()}
    return {each: int(match[1]) for each, match in matches.items() if match and each.startswith(name)}


def _create(client: Any, collection: str, description: CollectionDescription) -> None:
    kinds = import_module("pymilvus").DataType
    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("id", kinds.VARCHAR, is_primary=True, max_length=LONGEST_KEY)
    schema.add_field("path", kinds.VARCHAR, max_length=LONGEST_PATH)
    schema.add_field("identity", kinds.VARCHAR, max_length=LONGEST_IDENTITY, nullable=True)
    schema.add_field("camera", kinds.INT64, nullable=True)
    schema.add_field("vector", kinds.FLOAT_VECTOR, dim=description.dimension)
    index = client.prepare_index_params()
    kind = {"index_type": "HNSW", "params": HNSW} if description.approximate else {"index_type": "FLAT"}
    index.add_index("vector", metric_type="IP", **kind)
    properties = {PROPERTY: description.model_dump_json()}
    client.create_collection(
        collection, schema=schema, index_params=index, properties=properties, consistency_level="Strong"
    )
