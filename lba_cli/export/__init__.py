"""Export: the embedding network in other programs' formats, each checked against the trained network."""

from lba_cli.export.run import FORMATS, export

__all__ = ["FORMATS", "export"]
