"""The schema of a run. Every setting has its default here and its meaning beside it."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from lba_cli.vocabulary import (
    Backbone,
    DatasetChoice,
    Draw,
    FeaturePlace,
    Method,
    ModeChoice,
    Precision,
    ShotsChoice,
    Weighting,
)

LARGEST_SIDE = 2048


class Section(BaseModel):
    """A group of settings: frozen, of exact types, and with nothing unknown in it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class RunSection(Section):
    """Where a run computes."""

    device: str = Field("auto", description="auto (CUDA where there is one), cpu, cuda or cuda:N")

    @field_validator("device")
    @classmethod
    def _known_device(cls, value: str) -> str:
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", value):
            raise ValueError("allowed: auto, cpu, cuda, cuda:N")
        return value


class DataSection(Section):
    """The data set, the size of its images, and what happens to them in training."""

    dataset: DatasetChoice = Field("auto", description="whose layout the root has; auto looks, a store knows")
    root: str = Field("datasets/SYSU-MM01", min_length=1, description="the data set's folder, or a prepared store")
    trial: int | None = Field(None, ge=1, le=10, description="which of RegDB's ten splits; null elsewhere")
    split_seed: int = Field(0, ge=0, lt=2**63, description="of the draw of who is tested with, in own folders")
    test_share: float = Field(0.5, ge=0, le=1, description="of own folders' identities that are tested with")
    train_ids: str | None = Field(
        None, min_length=1, description="instead of the draw: a file in the root, one identity a line"
    )
    test_ids: str | None = Field(None, min_length=1, description="the same, of those tested with")
    height: int = Field(288, ge=32, le=LARGEST_SIDE, description="of the network's input, in pixels")
    width: int = Field(144, ge=16, le=LARGEST_SIDE, description="of the network's input, in pixels")
    workers: int | None = Field(
        None, ge=0, le=256, description="processes that load images; null: up to 4, one core left free"
    )
    resident: bool | None = Field(
        None, description="keep training images on the device and change them there; null: where they fit on a GPU"
    )
    pad: int = Field(0, ge=0, le=256, description="black pixels around an image before the random crop")
    flip: float = Field(0.5, ge=0, le=1, description="probability of a horizontal flip")
    erase: float = Field(0.0, ge=0, le=1, description="probability of random erasing")
    skip_incomplete: bool = Field(False, description="leave out training identities that lack a modality")


class ModelSection(Section):
    """The network."""

    backbone: Backbone = Field("resnet50", description="a torchvision ResNet")
    pretrained: str = Field(
        "imagenet", min_length=1, description="imagenet, none, or a file: a ResNet's weights, or a checkpoint"
    )


class AlignmentSection(Section):
    """Dense cross-modal alignment (method full)."""

    temperature: float = Field(50.0, gt=0, description="the similarities' factor before the softmax")
    margin: float = Field(0.3, ge=0, description="of the dense triplet")
    weighting: Weighting = Field(
        "batch_mean", description="batch_mean: as published; per_position: the paper's equation"
    )
    weight: float = Field(0.5, ge=0, description="of the dense triplet in the total loss")


class TrainSection(Section):
    """The recipe."""

    method: Method = Field("full", description="baseline: identity + hard triplet; full: with the alignment")
    epochs: int = Field(81, ge=1, le=100_000, description="how many, numbered from 0")
    seed: int = Field(0, ge=0, lt=2**63, description="of everything random")
    precision: Precision = Field("tf32", description="float32, tf32 (as published), bfloat16, or auto (the fastest)")
    identities: int = Field(8, ge=2, le=4096, description="of a batch (B)")
    instances: int = Field(4, ge=1, le=4096, description="images an identity and modality in a batch (P)")
    steps_per_epoch: int | None = Field(
        None, ge=1, le=10_000_000, description="null: floor(images of the larger modality / (B·P)) + 1"
    )
    learning_rate: float = Field(0.1, gt=0, description="of neck and classifier")
    trunk_share: float = Field(0.1, gt=0, le=1, description="of the learning rate that stems and trunk get")
    momentum: float = Field(0.9, ge=0, lt=1, description="of SGD, Nesterov's")
    weight_decay: float = Field(5e-4, ge=0)
    warmup_epochs: int = Field(10, ge=0, description="over which the learning rate rises linearly")
    milestones: tuple[int, ...] = Field(
        (20, 50), strict=False, description="epochs from which it is a tenth of what it was before"
    )
    triplet_margin: float = Field(0.3, ge=0, description="of the batch-hard triplet")
    triplet_weight: float = Field(1.0, ge=0, description="of the batch-hard triplet in the total loss")
    sync_batchnorm: bool = Field(
        False, description="of several processes: normalise by the images of all (CUDA), not each by its own"
    )
    evaluate_every: int = Field(1, ge=0, description="epochs between evaluations; 0: only after the last")
    checkpoint_minutes: float | None = Field(
        10.0, gt=0, description="between checkpoints within an epoch; null: only at its end"
    )
    tensorboard: bool = Field(False, description="also write TensorBoard's event files into the run")

    @field_validator("milestones")
    @classmethod
    def _ascending(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if list(value) != sorted(set(value)) or any(epoch < 0 for epoch in value):
            raise ValueError("allowed: epochs in ascending order")
        return value


class EvaluationSection(Section):
    """What is measured."""

    mode: ModeChoice = Field("auto", description="auto: what is usual for the data set; all: every one it has")
    shots: ShotsChoice = Field(
        "auto", description="gallery images an identity and camera: 1, 10, or the whole gallery; both: single and multi"
    )
    protocol: Draw = Field("community", description="whose gallery draws: the papers' or the data set's release's")
    features_from: FeaturePlace = Field("pooled", description="neck: also score the features after the neck")
    flip: bool = Field(False, description="also score the mean of each image's and its mirror image's embedding")
    rerank: bool = Field(False, description="also score distances re-ranked by k-reciprocal neighbours")
    rerank_k1: int = Field(20, ge=1, le=10_000, description="neighbours that may be reciprocal")
    rerank_k2: int = Field(6, ge=1, le=10_000, description="neighbours whose encodings are averaged")
    rerank_lambda: float = Field(0.3, ge=0, le=1, description="share of the original distance")
    batch_size: int = Field(128, ge=1, le=65_536, description="images embedded at a time")


class Run(Section):
    """Everything that decides a run's result."""

    run: RunSection = RunSection()
    data: DataSection = DataSection()
    model: ModelSection = ModelSection()
    alignment: AlignmentSection = AlignmentSection()
    train: TrainSection = TrainSection()
    evaluation: EvaluationSection = EvaluationSection()

    @model_validator(mode="after")
    def _padding_is_smaller_than_the_image(self) -> Run:
        if self.data.pad >= min(self.data.height, self.data.width):
            raise ValueError("data.pad must be smaller than the image")
        return self

    def values(self) -> dict[str, Any]:
        """The settings as plain dictionaries, for YAML and for checkpoints."""
        return self.model_dump(mode="json")
