"""Export: the embedding network in other programs' formats, each checked against the trained network."""

from lba_cli.export.export import FORMATS, export
from lba_cli.export.model_card import Export, Measured, Measuring, card_text

__all__ = ["FORMATS", "Export", "Measured", "Measuring", "card_text", "export"]
