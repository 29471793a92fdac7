"""Figures that many tests share."""

from pathlib import Path

GOLDEN = Path(__file__).parent / "golden"
HEIGHT, WIDTH = 64, 32
SMALL = {
    "data": {"height": HEIGHT, "width": WIDTH, "workers": 0},
    "model": {"backbone": "resnet18", "pretrained": "none"},
    "train": {"epochs": 2, "steps_per_epoch": 2, "identities": 3, "instances": 2, "precision": "float32"},
    "run": {"device": "cpu"},
}
