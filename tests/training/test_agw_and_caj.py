"""AGW and CAJ train, stop and resume like every method, and leave checkpoints that retrieve by the feature after the neck."""

import os
import signal

import pytest
import torch
import yaml
from small_setup import HEIGHT, WIDTH

from lba_cli.errors import Interrupted
from lba_cli.model import load_network
from lba_cli.model.checkpoint import read_checkpoint
from lba_cli.reporting import Silent
from lba_cli.training.loop import Trainer, train
from lba_cli.training.run_folder import RunFolder

TERMS = {"agw": "weighted_triplet", "caj": "squared_triplet"}
ALIGNMENT = {"loss__identity_consistency": 1.0, "loss__dense_triplet": 0.5}


class StopInSecondEpoch(Silent):
    def task(self, description, total=None, unit="", done=0):
        if description.startswith("epoch 2"):
            os.kill(os.getpid(), signal.SIGTERM)
        return super().task(description, total, unit, done)


def require_same_run(first, second):
    assert first.metrics.read_bytes() == second.metrics.read_bytes()
    for name in ("last", "best"):
        weights, others = (read_checkpoint(getattr(folder, name)).weights for folder in (first, second))
        assert all(torch.equal(weights[tensor], others[tensor]) for tensor in weights)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "every"),
    [("caj", 0), ("caj", 1), ("agw", 1)],
)
def test_a_stopped_run_resumes_exactly_wherever_its_images_are(source, tmp_path, small_run, method, every):
    config = small_run(train__method=method, train__evaluate_every=every, train__steps_per_epoch=1 + every)
    whole, stopped = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "stopped")
    train(config, source, whole, Silent())
    with pytest.raises(Interrupted):
        cached = config.model_copy(update={"data": config.data.model_copy(update={"device_cache": True})})
        train(cached, source, stopped, StopInSecondEpoch())
    train(config, source, stopped, Silent(), read_checkpoint(stopped.last))
    require_same_run(whole, stopped)
    record = whole.records()[0]
    assert record["losses"].keys() == {"identity", TERMS[method], "total"}
    assert 0 <= record["diagnostics"]["correct_triplets"] <= 1
    require_retrieval_after_the_neck(whole)


def require_retrieval_after_the_neck(folder):
    network, images = load_network(folder.last), torch.randn(4, 3, HEIGHT, WIDTH)
    assert network.non_local
    with torch.no_grad():
        pooled = network.pooled(images, "visible")
        torch.testing.assert_close(
            network.embed(images, "visible"), torch.nn.functional.normalize(network.neck(pooled), dim=1)
        )


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, {"train__accumulate": 2, "train__identities": 4}])
def test_alignment_on_top_of_caj_resumes_exactly(source, tmp_path, small_run, changes):
    config = small_run(train__method="caj", **ALIGNMENT, **changes)
    whole, stopped = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "stopped")
    train(config, source, whole, Silent())
    with pytest.raises(Interrupted):
        train(config, source, stopped, StopInSecondEpoch())
    train(config, source, stopped, Silent(), read_checkpoint(stopped.last))
    require_same_run(whole, stopped)
    wanted = {"identity_consistency_stage3", "identity_consistency_stage4", "dense_triplet"}
    assert whole.records()[0]["losses"].keys() == {"identity", "squared_triplet", "total", *wanted}


def test_a_step_of_two_views_has_three_images_for_every_two(source, tmp_path, small_run):
    """Its parts have all views of the same identities; the pairs of a part fit its images."""
    config = small_run(train__method="caj", train__identities=4, train__accumulate=2, data__erase=0.0, **ALIGNMENT)
    trainer = Trainer(config, source, RunFolder(tmp_path / "run"), Silent(), pretrained="none")
    batch = next(trainer._batches())
    assert trainer.images_per_step == 3 * 4 * 2
    assert (len(batch.visible), len(batch.infrared), len(batch.labels)) == (16, 8, 8)
    gray = (batch.visible == batch.visible[..., :1]).flatten(1).all(dim=1)
    assert gray.tolist() == [False] * 8 + [True] * 8, "the second view has three equal channels"
    first, second = batch.parts(2)
    assert torch.equal(torch.cat([first.labels, second.labels]), batch.labels)
    assert torch.equal(first.visible, torch.cat([batch.visible[:4], batch.visible[8:12]]))
    assert torch.equal(second.visible, torch.cat([batch.visible[4:8], batch.visible[12:]]))
    assert torch.equal(second.infrared, batch.infrared[4:])
    positive, _ = trainer._pair_drawer()()[0]
    assert len(positive) == len(first.visible) + len(first.infrared)
    values = trainer.step(batch, trainer._pair_drawer())
    assert torch.isfinite(values.losses["dense_triplet"])


def words(small_yaml, store, *more):
    return "train", "--config", small_yaml, "--data", store, "--output", "run", "--set", "train.epochs=1", *more


def test_the_method_brings_its_settings_and_another_is_refused_on_resume(lba, small_yaml, store, tmp_path):
    lba(*words(small_yaml, store, "--method", "agw", "--set", "train.evaluate_every=0"))
    config = yaml.safe_load((tmp_path / "run/config.yaml").read_text())
    assert config["model"]["non_local"] is True
    assert (config["model"]["retrieval_feature"], config["data"]["pad"]) == ("neck", 10)
    for method, key in (("caj", "data.visible_views: 1 → 2"), ("full", "model.non_local: True → False")):
        said = " ".join(lba("train", "--resume", "run", "--method", method, status=2).output.split())
        assert said.count("error:") == 1
        assert "run: the run was started with another configuration" in said
        assert f"train.method: agw → {method}" in said
        assert key in said


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            ("--method", "agw", "--set", "loss.dense_triplet=0.5"),
            "--set loss.dense_triplet=0.5: the method 'agw' has no loss term 'dense_triplet'; it has identity, weighted_triplet",
        ),
        (
            ("--method", "caj", "--set", "loss.hard_triplet=1"),
            "has no loss term 'hard_triplet'; it has identity_consistency, dense_triplet, identity, squared_triplet",
        ),
        (
            ("--method", "caj", "--set", "train.identities=20"),
            "the data set has 12 identities to train on, but a batch needs 20",
        ),
        (("--method", "caj", "--set", "train.identities=1"), "train.identities: should be greater than or equal to 2"),
        (("--method", "caj", "--set", "data.visible_views=3"), "data.visible_views: should be less than or equal to 2"),
        (
            ("--set", "data.visible_views=2", "--set", "data.flip=0"),
            "--set data.visible_views=2: data.visible_views=2: without a random augmentation the views of an image would be the "
            "same",
        ),
    ],
)
def test_settings_that_a_method_lacks_and_small_batches_are_refused_in_one_line(lba, small_yaml, store, more, message):
    said = " ".join(lba(*words(small_yaml, store, *more), status=2).output.split())
    assert message in said
    assert said.count("error:") == 1


@pytest.mark.slow
@pytest.mark.parametrize("method", TERMS)
def test_report_and_pictures_of_a_run(lba, small_yaml, store, tmp_path, method):
    lba(*words(small_yaml, store, "--method", method))
    lba("evaluate", "run", "--flip", "--features-from", "pooled", "--published")
    for picture in ("correspondences", "ranking", "masks", "curves", "report"):
        lba("visualize", picture, "--run" if picture == "curves" else "--checkpoint", "run")
    assert {path.name for path in (tmp_path / "figures").iterdir()} >= {"report.html", "curves.png", "masks.png"}
