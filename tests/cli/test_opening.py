"""The data set that a checkpoint is used on: its own by default, or the one that is named."""

import pytest
from small_setup import HEIGHT, SMALL, WIDTH

from lba_cli.cli.checkpoints import find_checkpoint, open_checkpoint
from lba_cli.cli.evaluate_models import same_place
from lba_cli.cli.options import CommonOptions
from lba_cli.config import ConfigLayer, resolve_config
from lba_cli.errors import DataError
from lba_cli.model.checkpoint import Checkpoint, Description, write_checkpoint
from lba_cli.model.initial_weights import build_network
from lba_cli.reporting import Silent


@pytest.fixture(scope="module")
def network():
    return build_network("resnet18", 12, "none", seed=3)


@pytest.fixture
def images(tmp_path, network, trees, monkeypatch):
    """Open the images that a checkpoint trained on a data set is used on: ``images("regdb", data=…, trial=3)``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LBA_CONFIG", raising=False)

    def open_for(dataset, data=None, assignments=(), **keys):
        trained = {**SMALL["data"], "root": str(trees[dataset]), "dataset": dataset, **keys}
        description = Description("resnet18", 12, HEIGHT, WIDTH, "x", 0, config={**SMALL, "data": trained})
        path = tmp_path / "net.pt"
        path.unlink(missing_ok=True)
        write_checkpoint(path, Checkpoint(description, network.state_dict()))
        return open_checkpoint(path, data, CommonOptions(None, assignments)).images()

    return open_for


def test_a_checkpoint_is_used_on_the_trial_it_was_trained_on(images, trees):
    assert images("regdb", trial=3).trial == 3
    assert images("regdb", data=trees["regdb"], trial=3).trial == 3
    assert images("regdb", data=trees["regdb"], assignments=["data.trial=5"], trial=3).trial == 5


@pytest.mark.parametrize("other", ["sysu", "llcm", "folder"])
def test_another_data_set_is_recognised_and_has_no_trial(images, trees, other):
    opened = images("regdb", data=trees[other], trial=3)
    assert (opened.dataset, opened.trial) == (other, 0)


def test_the_id_lists_of_own_folders_are_not_looked_for_in_another_data_set(images, trees):
    opened = images("folder", data=trees["sysu"], train_ids="train.txt", test_ids="test.txt")
    assert opened.dataset == "sysu"


def test_regdb_needs_a_trial_for_a_model_of_another_data_set(images, trees):
    with pytest.raises(DataError, match=r"has 10 trials: choose one with --set data\.trial=1"):
        images("llcm", data=trees["regdb"])
    assert images("llcm", data=trees["regdb"], assignments=["data.trial=2"]).trial == 2


def test_a_trial_is_refused_for_a_data_set_without_trials(images, trees):
    with pytest.raises(DataError, match=r"synthetic-tiny has a single train/test split: leave out .*data\.trial=2"):
        images("sysu", data=trees["llcm"], assignments=["data.trial=2"])


def test_own_folders_are_split_as_in_the_run(images, trees):
    sources = [images("folder", data=data, split_seed=7) for data in (None, trees["folder"])]
    assert sources[0].samples == sources[1].samples
    assert sources[0].samples != images("folder").samples


def test_the_newest_run_can_be_one_of_several_trials(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    class Listener(Silent):
        def say(self, message):
            assert message.endswith(
                "of the newest run, one of the trials in runs/many (lba evaluate --trials all runs/many scores all of them)"
            )

    last = tmp_path / "runs/many/trial-3/checkpoints/last.pt"
    last.parent.mkdir(parents=True)
    last.touch()
    assert find_checkpoint(None, Listener()).resolve() == last


def test_a_folder_of_the_same_name_elsewhere_is_another_data_set(trees):
    """A store counts as the same place as the folder that it was prepared from."""
    root = str(trees["folder"])
    assert same_place(root, config_of(root, HEIGHT, WIDTH))
    assert same_place(f"{root}-{HEIGHT}x{WIDTH}", config_of(root, HEIGHT, WIDTH))
    assert not same_place(f"elsewhere/{trees['folder'].name}", config_of(root, HEIGHT, WIDTH))


def config_of(root, height, width):
    return resolve_config([ConfigLayer({"data": {"root": root, "height": height, "width": width}}, "the test")])
