"""The image size and the config of a small run, and the folder of golden figures."""

from pathlib import Path

import pytest

from lba_cli.errors import DataError

GOLDEN = Path(__file__).parent / "golden"
HEIGHT, WIDTH = 64, 32
SMALL = {
    "data": {"height": HEIGHT, "width": WIDTH, "workers": 0},
    "model": {"backbone": "resnet18", "pretrained": "none"},
    "train": {
        "epochs": 2,
        "steps_per_epoch": 2,
        "identities": 3,
        "instances": 2,
        "precision": "float32",
        "evaluate_every": 2,
    },
    "run": {"device": "cpu"},
}


def refused(read, *words):
    """Require that ``read`` refuses its data in one line that contains ``words``; return the line."""
    with pytest.raises(DataError) as caught:
        read()
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message, message
    return message
