"""Devices and arithmetic."""

import pytest
import torch

from lba_cli.compute import arithmetic, mixed_precision, resolve_device, resolve_precision
from lba_cli.errors import ConfigError

CPU = torch.device("cpu")


@pytest.mark.parametrize(("precision", "convolutions"), [("float32", False), ("tf32", True), ("bfloat16", True)])
def test_only_convolutions_may_be_rounded_and_the_flags_are_put_back(precision, convolutions):
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    with arithmetic(precision, CPU):
        assert torch.backends.cudnn.allow_tf32 is convolutions
        assert torch.backends.cuda.matmul.allow_tf32 is False
    assert (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32) == before


def test_mixed_precision_rounds_matrix_products_only_when_asked():
    product = {}
    for precision in ("float32", "tf32", "bfloat16"):
        with mixed_precision(precision, CPU):
            product[precision] = (torch.ones(2, 2) @ torch.ones(2, 2)).dtype
    assert product == {"float32": torch.float32, "tf32": torch.float32, "bfloat16": torch.bfloat16}


def test_auto_is_resolved():
    assert resolve_precision("auto", CPU) in ("tf32", "bfloat16")
    assert resolve_precision("float32", CPU) == "float32"
    assert resolve_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_missing_device():
    with pytest.raises(ConfigError, match="sees no CUDA device"):
        resolve_device("cuda:1")
