"""The configs in the folder ``configs``: each says what differs from the defaults, and only that."""

from pathlib import Path

import pytest
import yaml

from lba_cli.config import Config, ConfigLayer, resolve_config
from lba_cli.methods import Objective

CONFIGS = Path(__file__).parents[2] / "configs"
DEMO_DATA = {"root": "datasets/synthetic-demo", "height": 112, "width": 56}
DEMO_TRAIN = {"precision": "auto", "steps_per_epoch": 30, "backbone_lr_multiplier": 1.0, "warmup_epochs": 0}
EXPECTED = {
    "sysu": {"data": {"dataset": "sysu"}},
    "sysu-strong": {
        "data": {"dataset": "sysu"},
        "model": {"non_local": True, "retrieval_feature": "neck"},
        "loss": {"identity_consistency": 0.0},
    },
    "regdb": {"data": {"dataset": "regdb", "root": "datasets/RegDB", "trial": 1}},
    "agw": {"train": {"method": "agw"}},
    "caj": {"train": {"method": "caj", "epochs": 100}, "evaluation": {"flip": True}},
    "llcm": {"data": {"dataset": "llcm", "root": "datasets/LLCM"}},
    "folder": {
        "data": {
            "dataset": "folder",
            "root": "datasets/own",
            "pattern": None,
            "split_seed": 0,
            "test_share": 0.5,
            "validation_share": 0.0,
            "train_ids": None,
            "test_ids": None,
            "validation_ids": None,
        }
    },
    "demo-warmup": {
        "data": DEMO_DATA,
        "model": {"backbone": "resnet18", "pretrained": "none"},
        "loss": {"hard_triplet": 0.0},
        "train": {
            **DEMO_TRAIN,
            "method": "baseline",
            "epochs": 3,
            "instances": 2,
            "learning_rate": 0.03,
            "milestones": (),
            "evaluate_every": 0,
        },
    },
    "demo": {
        "data": DEMO_DATA,
        "model": {"backbone": "resnet18", "pretrained": "none"},
        "loss": {"identity_consistency": 0},
        "train": {**DEMO_TRAIN, "epochs": 3, "identities": 4, "learning_rate": 0.01, "milestones": (2,)},
    },
}


def test_every_shipped_config_is_expected():
    assert {path.stem for path in CONFIGS.glob("*.yaml")} == EXPECTED.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_a_shipped_config_differs_from_the_defaults_as_expected(name):
    config = resolve_config([ConfigLayer.from_file(CONFIGS / f"{name}.yaml")])
    assert config == Config.model_validate(EXPECTED[name])


def test_the_papers_recipe_is_the_default_for_sysu():
    config = resolve_config([ConfigLayer.from_file(CONFIGS / "sysu.yaml")])
    train = config.train
    assert (train.method, train.epochs, train.identities, train.instances) == ("full", 81, 8, 4)
    assert (train.learning_rate, train.backbone_lr_multiplier, train.momentum, train.weight_decay) == (
        0.1,
        0.1,
        0.9,
        5e-4,
    )
    assert (train.warmup_epochs, train.milestones) == (10, (20, 50))
    assert (config.data.height, config.data.width, config.data.pad, config.data.flip) == (288, 144, 0, 0.5)
    assert (config.alignment.temperature, config.alignment.weighting) == (50.0, "batch_mean")
    assert (config.model.backbone, config.model.pretrained) == ("resnet50", "imagenet")
    assert train.clip_grad_norm is None


@pytest.mark.parametrize(
    ("name", "augmentation", "terms"),
    [
        ("agw", (10, 0.5, 0.0, 0.0, 1), ["identity", "weighted_triplet"]),
        ("caj", (10, 0.5, 0.5, 1.0, 2), ["identity", "squared_triplet"]),
    ],
)
def test_the_published_recipes_of_agw_and_caj(name, augmentation, terms):
    config = resolve_config([ConfigLayer.from_file(CONFIGS / f"{name}.yaml")])
    data, train = config.data, config.train
    assert (data.pad, data.flip, data.erase, data.channel_exchange, data.visible_views) == augmentation
    assert (config.model.non_local, config.model.retrieval_feature) == (True, "neck")
    objective = Objective(train.method, weights=config.loss.weights())
    assert [(term.name, weight) for term, weight in objective._terms] == [(term, 1.0) for term in terms]
    assert (train.identities, train.instances, train.learning_rate, train.milestones) == (8, 4, 0.1, (20, 50))
    assert (train.epochs, config.evaluation.flip) == ((100, True) if name == "caj" else (81, False))


@pytest.mark.parametrize("name", EXPECTED)
def test_a_shipped_config_says_little_that_is_the_default_anyway(name):
    """Only the data section may, to show a reader the keys of a data set; and the method, which is what the file is about."""
    written, defaults = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text()), Config().values()
    for section in written.keys() - {"data"}:
        same = [
            key for key, value in written[section].items() if key != "method" and defaults[section].get(key) == value
        ]
        assert not same, f"{section}: {same}"


def test_the_demo_warms_up_by_the_identity_loss_alone():
    config = resolve_config([ConfigLayer.from_file(CONFIGS / "demo-warmup.yaml")])
    objective = Objective(config.train.method, weights=config.loss.weights())
    assert [term.name for term, _ in objective._terms] == ["identity"]
