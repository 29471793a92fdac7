"""A tilde at the start of a path is the home folder, in every option and every config key."""

from pathlib import Path

import pytest

from lba_cli.cli import console, options
from lba_cli.cli.options import command, find_config, group
from lba_cli.config import ConfigLayer, resolve_config
from lba_cli.files import at_home


@pytest.fixture
def home(monkeypatch, tmp_path):
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    return folder


def test_what_is_replaced_and_what_is_not(home):
    assert at_home("~/a/~") == f"{home}/a/~"
    assert at_home(Path("~")) == home
    assert at_home([Path("~/a"), "b"]) == [home / "a", "b"]
    assert at_home(("~",)) == (str(home),)
    for other in ("./~/a", "a~", "~no-such-user-here/a", "~$draft.png", "", None, 3, True, {"~": "~"}):
        assert at_home(other) == other


def test_a_value_of_a_stranger_that_holds_itself_many_times_is_not_looked_through(home):
    value = ["~"]
    for _ in range(40):
        value = [value, value]
    assert at_home(value)[0] is value[0]


def test_every_config_key_and_its_file(home, monkeypatch):
    (home / "my.yaml").write_text("data:\n  root: ~/shots\n  train_ids: ~/train.txt\n  test_ids: '~/test.txt'\n")
    words = ["model.pretrained=~/weights.pth"]
    config = resolve_config([ConfigLayer.from_file(home / "my.yaml"), ConfigLayer.from_assignments(words)])
    assert config.data.root == f"{home}/shots"
    assert config.data.model_extra == {"train_ids": f"{home}/train.txt", "test_ids": f"{home}/test.txt"}
    assert config.model.pretrained == f"{home}/weights.pth"
    monkeypatch.setenv("LBA_CONFIG", "~/my.yaml")
    assert find_config() == home / "my.yaml"


def test_options_and_arguments(home):
    seen = {}
    app = group()

    @command(app, name="x")
    def x(common: options.CommonOptions, images: options.ImageNames, data: options.DataFolder = None) -> None:
        """Note the options."""
        seen.update(images=images, data=data, config=common.config_file)

    from typer.testing import CliRunner

    console.get_listener.cache_clear()
    CliRunner().invoke(app, ["~/a", "b/*.png", "--data=~/d", "--config", "~/c.yaml"], catch_exceptions=False)
    assert seen == {"images": [f"{home}/a", "b/*.png"], "data": home / "d", "config": home / "c.yaml"}


@pytest.mark.slow
def test_no_folder_called_tilde_is_made(home, lba, tmp_path):
    lba("prepare", "synthetic", "--preset", "tiny", "--output=~/people", "--workers", "1")
    assert (home / "people" / "cam1").is_dir()
    assert not (tmp_path / "~").exists()
