"""The configuration: its schema, and the layers of files and options that it is made of."""

from lba_cli.config.layers import ConfigLayer, differences, resolve_config, write_config
from lba_cli.config.schema import Config, DataSection, EvaluationSection, LossSection, TrainSection

__all__ = [
    "Config",
    "ConfigLayer",
    "DataSection",
    "EvaluationSection",
    "LossSection",
    "TrainSection",
    "differences",
    "resolve_config",
    "write_config",
]
