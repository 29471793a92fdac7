"""One self-contained HTML file about a model: figures, ranked lists, correspondences, masks, and where embeddings lie."""

from lba_cli.visualize.report.collect import Bounds, Subject
from lba_cli.visualize.report.write import MOST_BYTES, SUFFIXES, write_report

__all__ = ["MOST_BYTES", "SUFFIXES", "Bounds", "Subject", "write_report"]
