"""Search: embeddings of images that belong to no data set, and an index of a gallery that is ranked for queries."""

from lba_cli.search.embedder import Embedder, network_embedder, onnx_embedder
from lba_cli.search.index import Index, open_index
from lba_cli.search.query import Hit, search

__all__ = ["Embedder", "Hit", "Index", "network_embedder", "onnx_embedder", "open_index", "search"]
