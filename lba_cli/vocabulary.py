"""Words that configs, files, reports and functions share."""

from typing import Literal, get_args

Modality = Literal["visible", "infrared"]
Split = Literal["train", "val", "test"]
Backbone = Literal[
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnext50_32x4d",
    "resnext101_32x8d",
    "resnext101_64x4d",
    "wide_resnet50_2",
    "wide_resnet101_2",
]
Weighting = Literal["batch_mean", "per_position", "uniform"]
Precision = Literal["auto", "float32", "tf32", "bfloat16"]
EmbeddingPrecision = Literal["float32", "bfloat16", "auto"]
Shots = Literal["single", "multi", "whole"]
ShotsChoice = Literal["auto", Shots, "both"]
FeaturePlace = Literal["pooled", "neck"]
ExportFormat = Literal["onnx", "pt2", "safetensors", "official"]
ExportPrecision = Literal["float32", "float16", "bfloat16", "int8"]
Stems = Literal["one", "two"]
PaperWidth = Literal["column", "page"]
VectorDtype = Literal["float32", "float16"]
Engine = Literal["exact", "faiss", "milvus"]

MODALITIES: tuple[Modality, ...] = get_args(Modality)
SPLITS: tuple[Split, ...] = ("train", "test")  # the splits that every data set has
ALL_SPLITS: tuple[Split, ...] = get_args(Split)
BACKBONES: tuple[Backbone, ...] = get_args(Backbone)
WEIGHTINGS: tuple[Weighting, ...] = get_args(Weighting)

LARGEST_SIDE = 2048  # pixels; the largest height or width of a network's input
FEWEST_IDENTITIES = 2  # in a batch; with a single identity, no image would have a negative
ONNX_OPSET = 18


def plural(number: int, one: str, many: str | None = None) -> str:
    """Return ``one`` if ``number`` is 1, otherwise ``many``. Default of ``many``: ``one`` with an s, such as ``files``."""
    return one if number == 1 else many or f"{one}s"
