"""Draws people who do not exist, in visible light and in near infrared, in SYSU-MM01's layout on disk."""

from lba_cli.data.synthetic.jobs import Job
from lba_cli.data.synthetic.layouts import Summary, plan, write_dataset
from lba_cli.data.synthetic.presets import PRESETS, Preset

__all__ = ["PRESETS", "Job", "Preset", "Summary", "plan", "write_dataset"]
