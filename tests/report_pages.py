"""For tests of reports: a setting, the bounds of a small report, and functions that read a page."""

import base64
import json
import re

import numpy as np

from lba_cli.datasets import Setting
from lba_cli.visualize.report import Bounds

SETTING = Setting("all-search", "single", "community")
FEW = Bounds(queries=6, top=4, people=2, points=9)


def data_of(text):
    """Read the data in a page as a browser does."""
    (content,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, flags=re.DOTALL)
    return json.loads(content)


def bytes_of(text):
    return np.frombuffer(base64.b64decode(text), np.uint8)


def count(page, selector):
    return page.run(f"document.querySelectorAll({json.dumps(selector)}).length")


def text(page, selector):
    return page.run(f"document.querySelector({json.dumps(selector)}).textContent")
