"""One way to build, open and change a gallery, whatever its engine: a folder (exact, faiss) or a collection (milvus)."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from lba_cli.errors import SearchError
from lba_cli.search import milvus, update
from lba_cli.search.faiss_index import require_faiss
from lba_cli.search.gallery import Gallery, IndexDescription, Rows
from lba_cli.search.index import Manifest, open_index
from lba_cli.search.milvus_gallery import CollectionDescription, Label
from lba_cli.vocabulary import Engine, Modality, VectorDtype

DEFAULT_URI = "milvus.db"


class Contents(NamedTuple):
    """What a gallery holds: the number of images, their modality, and D, the length of the vectors."""

    images: int
    modality: Modality
    dimension: int


@dataclass(frozen=True)
class BuildOptions:
    """The options of building a gallery.

    Attributes:
        replace: whether an existing gallery is replaced.
        dtype: the dtype in which a folder keeps the vectors.
        approximate: whether Milvus makes an approximate index.
        labels: what Milvus keeps beside a path.
    """

    replace: bool = False
    dtype: VectorDtype = "float32"
    approximate: bool = False
    labels: Mapping[str, Label] = field(default_factory=dict)


@dataclass(frozen=True)
class GalleryPlace:
    """Where a gallery is.

    Attributes:
        index: a folder, or with the engine ``milvus`` the gallery's name.
        engine: what keeps the gallery.
        uri: Milvus's address, or a local file of Milvus Lite; None for ``DEFAULT_URI``.

    Raises:
        SearchError: the engine isn't Milvus and there is a ``uri``, or Milvus can't have such a name.
    """

    index: Path
    engine: Engine = "exact"
    uri: str | None = None

    def __post_init__(self) -> None:
        if self.engine == "milvus":
            milvus.require_name(str(self.index))
        elif self.uri is not None:
            raise SearchError(f"--uri {self.uri} is a place of Milvus: add --engine milvus, or leave it out")

    @property
    def milvus_uri(self) -> str:
        """The address of the Milvus server, or the local folder of Milvus Lite."""
        return self.uri or DEFAULT_URI

    def require_milvus_for(self, option: str, given: object) -> None:
        """Raise a SearchError if an option is given that only galleries in Milvus have."""
        if given and self.engine != "milvus":
            raise SearchError(f"{option} is for --engine milvus: leave it out")

    def require_new(self, options: BuildOptions) -> None:
        """Refuse a build that would fail later.

        Raises:
            SearchError: there is such a gallery and it may not be replaced, or an option needs another engine.
            MissingExtra: the engine isn't installed.
        """
        if self.engine != "milvus":
            self.require_milvus_for("--approximate", options.approximate)
            update.require_new_index(self.index, replace=options.replace)
            if self.engine == "faiss":
                require_faiss()
            return
        if options.dtype != "float32":
            raise SearchError("--dtype is for --engine exact and faiss: leave it out")
        if milvus.is_made(self.milvus_uri):
            with milvus.open_milvus(self.milvus_uri) as client:
                milvus.require_new_gallery(client, self.milvus_uri, str(self.index), replace=options.replace)

    def build(self, description: IndexDescription, rows: Rows, options: BuildOptions) -> Contents:
        """Build the gallery from ``rows``, which must be in the order of their absolute paths.

        Raises:
            SearchError: see :meth:`require_new`, or there are no rows.
        """
        if self.engine != "milvus":
            storage = update.Storage(self.engine == "faiss", options.dtype)
            made = update.build_index(self.index, description, rows, storage=storage, replace=options.replace)
            return _contents(made)
        own = CollectionDescription(
            **description.model_dump(), gallery=str(self.index), approximate=options.approximate
        )
        with milvus.open_milvus(self.milvus_uri, create=True) as client:
            return _contents_of(
                milvus.build_gallery(client, self.milvus_uri, own, rows, options.labels, replace=options.replace)
            )

    @contextmanager
    def opened(self, *, fully: bool = False) -> Iterator[Gallery]:
        """Open the gallery within the block. ``fully`` checks every byte of a folder.

        Raises:
            SearchError: there is no gallery, or it is damaged or of another format version.
        """
        if self.engine == "milvus":
            with milvus.open_milvus(self.milvus_uri) as client:
                yield milvus.open_gallery(client, self.milvus_uri, str(self.index))
        else:
            yield open_index(self.index, fully=fully)

    def add(self, description: IndexDescription, rows: Rows, labels: Mapping[str, Label]) -> tuple[Contents, int]:
        """Add ``rows``, in the order of their absolute paths; return what the gallery holds, and how many vectors were replaced.

        Raises:
            SearchError: the gallery is damaged, or has another model or modality.
        """
        if self.engine != "milvus":
            made, replaced = update.add_rows(self.index, description, rows)
            return _contents(made), replaced
        with milvus.open_milvus(self.milvus_uri) as client:
            gallery = milvus.open_gallery(client, self.milvus_uri, str(self.index))
            gallery.require_alike(description)
            # All images are embedded before the first change: one that can't be read must leave the gallery as it is.
            replaced = gallery.add(list(rows), labels)
            return _contents_of(gallery), replaced

    def remove(self, names: Sequence[str]) -> tuple[Contents, int]:
        """Remove the images that ``names`` refer to; return what the gallery holds, and how many images were removed.

        Raises:
            SearchError: see :func:`~lba_cli.search.update.remove_rows`.
        """
        if self.engine != "milvus":
            made, removed = update.remove_rows(self.index, names)
            return _contents(made), removed
        with milvus.open_milvus(self.milvus_uri) as client:
            gallery = milvus.open_gallery(client, self.milvus_uri, str(self.index))
            removed = gallery.remove(names)
            return _contents_of(gallery), removed


def _contents(made: Manifest) -> Contents:
    return Contents(made.images, made.modality, made.dimension)


def _contents_of(gallery: Gallery) -> Contents:
    return Contents(gallery.images, gallery.description.modality, gallery.description.dimension)
