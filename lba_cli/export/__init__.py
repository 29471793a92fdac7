"""Export the embedding network to formats that other programs read, and compare each file with the trained network."""

from lba_cli.export.export import FORMATS, ExportOptions, export
from lba_cli.export.model_card import ExportResult, ExportScorer, ExportScores, card_text
from lba_cli.export.quantization import Calibration

__all__ = [
    "FORMATS",
    "Calibration",
    "ExportOptions",
    "ExportResult",
    "ExportScorer",
    "ExportScores",
    "card_text",
    "export",
]
