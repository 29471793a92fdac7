"""The schema of the configuration: every key with its default and its meaning."""

import re
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from lba_cli.datasets import AUTO, DATASETS, DatasetOptions, DatasetSpec, nearest
from lba_cli.methods.table import METHODS
from lba_cli.value_range import FULL, ValueRange
from lba_cli.vocabulary import (
    FEWEST_IDENTITIES,
    LARGEST_SIDE,
    Backbone,
    EmbeddingPrecision,
    FeaturePlace,
    Precision,
    ShotsChoice,
    Weighting,
)


class Section(BaseModel):
    """A group of config keys: immutable, strictly typed, and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class RunSection(Section):
    """The device that computes."""

    device: str = Field("auto", description="auto (CUDA where there is one), cpu, cuda, cuda:N, or mps (Apple's GPU)")

    @field_validator("device")
    @classmethod
    def _known_device(cls, value: str) -> str:
        if not re.fullmatch(r"auto|cpu|mps|cuda(:(0|[1-9]\d{0,2}))?", value):
            raise ValueError("allowed: auto, cpu, cuda, cuda:N, mps")
        return value


class DataSection(Section):
    """The data set, the size of its images, and the augmentation of training images.

    The section also accepts keys that only one data set has, see :class:`~lba_cli.datasets.DatasetSpec`.
    """

    model_config = ConfigDict(extra="allow")

    dataset: str = Field(AUTO, description="the data set in the root; auto recognises it by its folders")
    root: str = Field(
        "datasets/SYSU-MM01",
        min_length=1,
        description="the data set's folder, a CSV file of your own images, or a prepared store",
    )
    trial: int | None = Field(None, ge=1, le=10, description="which of RegDB's ten trials; null for other data sets")
    height: int = Field(288, ge=32, le=LARGEST_SIDE, description="height of the network's input, in pixels")
    width: int = Field(144, ge=16, le=LARGEST_SIDE, description="width of the network's input, in pixels")
    value_range: ValueRange = Field(
        FULL,
        description="which values become black and white where images have more than 8 bits: full, image, percentiles, or "
        "[low, high]; see docs/data.md",
    )
    workers: int | None = Field(
        None, ge=0, le=256, description="processes that load images; null: up to 4, one core left free"
    )
    device_cache: bool | None = Field(
        None, description="keep the training images on the device and augment them there; null: if they fit on the GPU"
    )
    pad: int = Field(0, ge=0, le=256, description="black pixels added on every side before the random crop")
    flip: float = Field(0.5, ge=0, le=1, description="probability of a horizontal flip")
    erase: float = Field(0.0, ge=0, le=1, description="probability of random erasing")
    channel_exchange: float = Field(
        0.0,
        ge=0,
        le=1,
        description="probability that an image becomes three copies of one of its channels; of two views, only the second",
    )
    visible_views: int = Field(
        1, ge=1, le=2, description="how often a step sees each visible image, augmented anew each time"
    )
    skip_incomplete: bool = Field(False, description="leave out training identities that lack a modality")

    @field_validator("dataset")
    @classmethod
    def _known_dataset(cls, value: str) -> str:
        if value not in (AUTO, *DATASETS):
            raise ValueError(f"there is no such data set; {nearest(value, (AUTO, *DATASETS))}")
        return value

    def options_for(self, spec: DatasetSpec) -> DatasetOptions:
        """Return the keys that only the data set ``spec`` has."""
        extra = self.model_extra or {}
        return spec.options(**{key: extra[key] for key in spec.options.model_fields if key in extra})


class ModelSection(Section):
    """The network."""

    backbone: Backbone = Field("resnet50", description="a torchvision ResNet")
    pretrained: str = Field(
        "imagenet",
        min_length=1,
        description="imagenet, none, a file (a ResNet's weights or a checkpoint), or a run's folder",
    )
    non_local: bool = Field(False, description="add AGW's non-local blocks to layer2 and layer3")
    retrieval_feature: FeaturePlace = Field(
        "pooled",
        description="what an image is retrieved by: pooled, the feature before the neck, or neck, that after it",
    )


class AlignmentSection(Section):
    """Dense cross-modal alignment, for methods that align."""

    temperature: float = Field(50.0, gt=0, description="factor of the similarities before the softmax")
    margin: float = Field(0.3, ge=0, description="margin of the dense triplet")
    weighting: Weighting = Field(
        "batch_mean",
        description="batch_mean: as published; per_position: the paper's equation; uniform: without co-attention",
    )
    masks: bool = Field(True, description="whether reconstructions use person masks")


class LossSection(Section):
    """Weights of loss terms, by the terms' names. Terms that aren't named have the method's weights; 0 switches a term off.

    :class:`Config` checks whether the method has the terms.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Annotated[float, Field(ge=0)]]

    def weights(self) -> dict[str, float]:
        """Return the weights that are named."""
        return dict(self.model_extra or {})


class TrainSection(Section):
    """The training recipe."""

    method: str = Field("full", description="; ".join(f"{m.name}: {m.summary}" for m in METHODS.values()))
    epochs: int = Field(81, ge=1, le=100_000, description="number of epochs; they are numbered from 0")
    seed: int = Field(0, ge=0, lt=2**63, description="seed of everything random")
    precision: Precision = Field("tf32", description="float32, tf32 (as published), bfloat16; auto: bfloat16 if fast")
    identities: int = Field(8, ge=FEWEST_IDENTITIES, le=4096, description="identities in a batch (B)")
    instances: int = Field(4, ge=1, le=4096, description="images per identity and modality in a batch (P)")
    accumulate: int = Field(
        1,
        ge=1,
        le=2048,
        description="parts that a batch is computed in, by identities, to save memory; triplets, batch statistics and "
        "alignment span a part only",
    )
    checkpoint_activations: bool = Field(
        False, description="compute the trunk's activations twice, to save memory; same weights (to the bit on a CPU)"
    )
    steps_per_epoch: int | None = Field(
        None, ge=1, le=10_000_000, description="null: floor(images of the larger modality / (B·P)) + 1"
    )
    learning_rate: float = Field(0.1, gt=0, description="learning rate of neck and classifier")
    backbone_lr_multiplier: float = Field(
        0.1, gt=0, le=1, description="factor of the learning rate for stems and trunk"
    )
    momentum: float = Field(0.9, ge=0, lt=1, description="SGD's Nesterov momentum")
    weight_decay: float = Field(5e-4, ge=0, description="SGD's weight decay")
    clip_grad_norm: float | None = Field(
        None, gt=0, description="largest L2 norm of a step's gradient, which is scaled down to it; null: no clipping"
    )
    warmup_epochs: int = Field(10, ge=0, description="epochs over which the learning rate rises linearly")
    milestones: tuple[int, ...] = Field(
        (20, 50), strict=False, description="epochs at which the learning rate is divided by 10"
    )
    triplet_margin: float = Field(0.3, ge=0, description="margin of the batch-hard triplet")
    sync_batchnorm: bool = Field(
        False, description="share batch statistics among the GPUs of a run, instead of each using its own"
    )
    evaluate_every: int = Field(1, ge=0, description="epochs between evaluations; 0: only after the last epoch")
    checkpoint_minutes: float | None = Field(
        10.0, gt=0, description="minutes between checkpoints within an epoch; null: only at its end"
    )
    tensorboard: bool = Field(False, description="also write TensorBoard's event files into the run")

    @field_validator("method")
    @classmethod
    def _known_method(cls, value: str) -> str:
        if value not in METHODS:
            raise ValueError(f"there is no such method; {nearest(value, METHODS)}")
        return value

    @field_validator("milestones")
    @classmethod
    def _ascending(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if list(value) != sorted(set(value)) or any(epoch < 0 for epoch in value):
            raise ValueError("allowed: epochs in ascending order")
        return value


class EvaluationSection(Section):
    """The evaluation of models."""

    mode: str = Field("auto", description="auto: the data set's usual modes; all: every mode it has")
    shots: ShotsChoice = Field(
        "auto",
        description="gallery images per identity and camera: single (1), multi (10), whole (all); both: 1 and 10",
    )
    protocol: str = Field(
        "community", description="how galleries are drawn: as in most papers, or by the data set's release"
    )
    features_from: FeaturePlace | None = Field(
        None, description="pooled or neck: also score this feature, where the network retrieves by the other one"
    )
    flip: bool = Field(False, description="also score the mean of each image's embedding and its mirror image's")
    rerank: bool = Field(False, description="also score distances re-ranked by k-reciprocal neighbours")
    rerank_k1: int = Field(20, ge=1, le=10_000, description="neighbours that may be reciprocal")
    rerank_k2: int = Field(6, ge=1, le=10_000, description="neighbours whose encodings are averaged")
    rerank_lambda: float = Field(0.3, ge=0, le=1, description="share of the original distance")
    batch_size: int = Field(128, ge=1, le=65_536, description="images loaded at a time; it changes no embedding")
    precision: EmbeddingPrecision = Field("float32", description="arithmetic of embedding; auto: bfloat16 if fast")
    pairs: int = Field(4, ge=1, le=1_000, description="pairs of images per person whose correspondences are measured")
    pairs_seed: int = Field(0, ge=0, description="the seed that chooses these pairs")


class Config(Section):
    """Everything that decides the result of a run or of an evaluation."""

    run: RunSection = RunSection()
    data: DataSection = DataSection()
    model: ModelSection = ModelSection()
    alignment: AlignmentSection = AlignmentSection()
    loss: LossSection = LossSection()
    train: TrainSection = TrainSection()
    evaluation: EvaluationSection = EvaluationSection()

    @model_validator(mode="before")
    @classmethod
    def _usual_settings_of_the_method(cls, values: Any) -> Any:
        """Fill in the settings that the method usually has, where no others are given."""
        if not isinstance(values, dict):
            return values
        given = {k: v.model_dump(exclude_unset=True) if isinstance(v, Section) else v for k, v in values.items()}
        train = given.get("train", {})
        method = train.get("method", TrainSection().method) if isinstance(train, dict) else None
        for key, value in METHODS[method].settings.items() if isinstance(method, str) and method in METHODS else ():
            section, _, name = key.partition(".")
            if isinstance(given.setdefault(section, {}), dict):
                given[section] = {name: value, **given[section]}
        return given

    @model_validator(mode="after")
    def _padding_is_smaller_than_the_image(self) -> Self:
        if self.data.pad >= min(self.data.height, self.data.width):
            raise _problem_at("data.pad", "data.pad must be smaller than the image")
        return self

    @model_validator(mode="after")
    def _two_views_differ(self) -> Self:
        data = self.data
        if data.visible_views > 1 and not (data.pad or data.erase or data.channel_exchange) and data.flip in (0, 1):
            raise _problem_at(
                "data.visible_views",
                f"data.visible_views={data.visible_views}: without a random augmentation the views of an image would be the "
                "same; set data.channel_exchange, data.erase, data.pad or data.flip, or leave the key out",
            )
        return self

    @model_validator(mode="after")
    def _a_part_has_two_identities(self) -> Self:
        identities, parts = self.train.identities, self.train.accumulate
        if parts > 1 and (identities % parts or identities < 2 * parts):
            possible = [n for n in range(1, identities // 2 + 1) if identities % n == 0]
            raise _problem_at(
                "train.accumulate",
                f"train.accumulate={parts} must divide the train.identities={identities} of a batch into parts of two or more; "
                f"possible: {', '.join(map(str, possible))}",
            )
        return self

    @model_validator(mode="after")
    def _the_method_has_the_terms(self) -> Self:
        key = "loss"
        try:
            for name in self.loss.weights():
                key = f"loss.{name}"
                METHODS[self.train.method].require_term(name)
            key = "loss"
            METHODS[self.train.method].weights(self.loss.weights())
        except ValueError as problem:
            raise _problem_at(key, str(problem)) from None
        return self

    def values(self) -> dict[str, Any]:
        """Return the configuration as plain dictionaries, for YAML and for checkpoints."""
        return self.model_dump(mode="json")


def _problem_at(key: str, message: str) -> PydanticCustomError:
    """Make an error about several keys; the message shows where ``key`` is set."""
    return PydanticCustomError("config", "{message}", {"message": message, "key": key})
