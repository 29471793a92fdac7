"""The setting data.value_range: what is allowed, and the limits that it stands for."""

import json

import numpy as np
import pytest
from pydantic import BaseModel

from lba_cli.config import ConfigLayer, resolve_config
from lba_cli.errors import ConfigError
from lba_cli.value_range import ValueRange, limits, parse_value_range, shown


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("image", "image"),
        ("percentiles", "percentiles"),
        ("[7000, 8500]", (7000, 8500)),
        ("[-20.5, 40]", (-20.5, 40)),
        ("[2%, 98.5%]", ("2%", "98.5%")),
    ],
)
def test_a_valid_setting_is_kept_and_read_back_from_a_saved_config(text, value):
    config = resolve_config([ConfigLayer.from_assignments([f"data.value_range={text}"])])
    assert config.data.value_range == value
    saved = json.loads(json.dumps(config.values()))
    assert resolve_config([ConfigLayer(saved, "saved")]).data.value_range == value
    assert shown(value) == text


@pytest.mark.parametrize(
    "text",
    ["fulll", "7000", "[1]", "[1, 2, 3]", "[5, 5]", "[9, 3]", "[true, 2]", "[1%, 200]", "[x%, 2%]", "[-1%, 50%]"],
)
def test_any_other_setting_is_refused_with_what_is_allowed(text):
    with pytest.raises(
        ConfigError, match=r"data\.value_range: allowed: full, image, percentiles, or \[low, high\]"
    ) as caught:
        resolve_config([ConfigLayer.from_assignments([f"data.value_range={text}"])])
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("value", [[float("nan"), 1], [0, float("inf")], None, 3, {"low": 1}, ["1", "2"]])
def test_values_that_yaml_or_a_stranger_may_bring(value):
    with pytest.raises(ValueError, match="allowed"):
        parse_value_range(value)


def test_a_manifest_keeps_it():
    class Record(BaseModel):
        range: ValueRange = "full"

    for value in ("image", (1.0, 2.0), ("1%", "99%")):
        assert Record.model_validate_json(Record(range=value).model_dump_json()).range == value


def test_limits_of_an_image():
    values = np.arange(101, dtype=np.float32)
    assert limits("image", values) == (0, 100)
    assert limits("percentiles", values) == (1, 99)
    assert limits(("5%", "50%"), values) == (5, 50)
    assert limits((-3, 7), values) == (-3, 7)
    values[50] = np.nan
    assert limits("image", values) == (0, 100)
    with pytest.raises(ValueError, match="no pixel has a finite value"):
        limits("image", np.full((2, 2), np.nan, np.float32))
