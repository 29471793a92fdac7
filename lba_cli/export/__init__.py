"""Export: the embedding network in other programs' formats, each checked against the trained network."""

from lba_cli.export.card import Export, Measured, Measuring, card_text
from lba_cli.export.run import FORMATS, export

__all__ = ["FORMATS", "Export", "Measured", "Measuring", "card_text", "export"]
