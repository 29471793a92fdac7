"""Embed images that belong to no data set, and rank a gallery of them for query images."""

from lba_cli.search.embedder import Embedder, network_embedder
from lba_cli.search.gallery import Hit
from lba_cli.search.index import Index, open_index
from lba_cli.search.onnx_embedder import onnx_embedder
from lba_cli.search.query import search

__all__ = ["Embedder", "Hit", "Index", "network_embedder", "onnx_embedder", "open_index", "search"]
