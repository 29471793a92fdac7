"""The words that settings, files, reports and functions share. Each is a word, never a bare integer."""

from __future__ import annotations

from typing import Literal, get_args

Modality = Literal["visible", "infrared"]
Part = Literal["train", "test"]
Dataset = Literal["sysu", "regdb", "llcm", "folder"]
DatasetChoice = Literal[Dataset, "auto"]
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
Method = Literal["baseline", "full"]
Weighting = Literal["batch_mean", "per_position"]
Precision = Literal["auto", "float32", "tf32", "bfloat16"]
Mode = Literal["all-search", "indoor-search", "infrared-to-visible", "visible-to-infrared"]
Shots = Literal["single", "multi", "whole"]
ModeChoice = Literal["auto", Mode, "all"]
ShotsChoice = Literal["auto", Shots, "both"]
Draw = Literal["community", "official", "released"]
FeaturePlace = Literal["pooled", "neck"]
ExportFormat = Literal["onnx", "pt2", "safetensors", "official"]
ExportPrecision = Literal["float32", "float16", "bfloat16"]
Stems = Literal["one", "two"]
PaperWidth = Literal["column", "page"]
Engine = Literal["exact", "faiss"]

MODALITIES: tuple[Modality, ...] = get_args(Modality)
PARTS: tuple[Part, ...] = get_args(Part)
DATASETS: tuple[Dataset, ...] = get_args(Dataset)
BACKBONES: tuple[Backbone, ...] = get_args(Backbone)
METHODS: tuple[Method, ...] = get_args(Method)
WEIGHTINGS: tuple[Weighting, ...] = get_args(Weighting)
MODES: tuple[Mode, ...] = get_args(Mode)
SHOTS: tuple[Shots, ...] = get_args(Shots)
DRAWS: tuple[Draw, ...] = get_args(Draw)

ONNX_OPSET = 18
