"""The configuration: its schema, and the layers of files and options that it is made of."""

from lba_cli.config.layers import ConfigLayer, differences, resolve_config, write_config
from lba_cli.config.schema import (
    AlignmentSection,
    Config,
    DataSection,
    EvaluationSection,
    LossSection,
    ModelSection,
    RunSection,
    TrainSection,
)

__all__ = [
    "AlignmentSection",
    "Config",
    "ConfigLayer",
    "DataSection",
    "EvaluationSection",
    "LossSection",
    "ModelSection",
    "RunSection",
    "TrainSection",
    "differences",
    "resolve_config",
    "write_config",
]
