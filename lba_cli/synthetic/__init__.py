"""Images of synthetic people, who do not exist, in visible light and in near infrared."""

from lba_cli.synthetic.jobs import Job
from lba_cli.synthetic.plan import Plan
from lba_cli.synthetic.presets import PRESETS, Preset

__all__ = ["PRESETS", "Job", "Plan", "Preset"]
