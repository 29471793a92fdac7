"""A report on a model in one self-contained HTML file: figures, ranked lists, correspondences, masks and a map of embeddings."""

from lba_cli.visualize.report.collect import Bounds, Subject
from lba_cli.visualize.report.write import MOST_BYTES, SUFFIXES, write_report

__all__ = ["MOST_BYTES", "SUFFIXES", "Bounds", "Subject", "write_report"]
