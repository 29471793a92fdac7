"""The two-stream network, its initial weights and its files."""

from lba_cli.model.checkpoint import load_network
from lba_cli.model.network import TwoStreamNetwork
from lba_cli.model.non_local import NonLocal
from lba_cli.model.pooling import generalized_mean_pool

__all__ = ["NonLocal", "TwoStreamNetwork", "generalized_mean_pool", "load_network"]
