"""Draws people who do not exist, in visible light and in near infrared, in the layout of any data set that is read."""

from lba_cli.data.synthetic.dataset import Summary, plan, write_dataset
from lba_cli.data.synthetic.jobs import Job
from lba_cli.data.synthetic.layouts import Plan
from lba_cli.data.synthetic.presets import PRESETS, Preset

__all__ = ["PRESETS", "Job", "Plan", "Preset", "Summary", "plan", "write_dataset"]
