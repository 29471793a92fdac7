"""Settings: every mistake is told in one line with its place and what is allowed."""

from pathlib import Path

import pytest
import yaml

from lba_cli.config import Config, ConfigLayer, DataSection, differences, resolve_config, write_config
from lba_cli.errors import ConfigError

CONFIGS = sorted((Path(__file__).parent.parent / "configs").glob("*.yaml"))


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "run.yaml"
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_shipped_config_loads(path):
    assert isinstance(resolve_config([ConfigLayer.from_file(path)]), Config)


def test_the_reference_recipe_is_whole_and_is_the_default():
    path = next(path for path in CONFIGS if path.name == "sysu.yaml")
    run = resolve_config([ConfigLayer.from_file(path)])
    assert run == Config(data=DataSection(dataset="sysu"))
    written = yaml.safe_load(path.read_text())
    assert {section: set(values) for section, values in written.items()} == {
        section: set(values) for section, values in Config().values().items()
    }


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("regdb", {"dataset": "regdb", "root": "datasets/RegDB", "trial": 1}),
        ("llcm", {"dataset": "llcm", "root": "datasets/LLCM"}),
        ("folder", {"dataset": "folder", "root": "datasets/own"}),
    ],
)
def test_the_other_data_sets_have_the_same_recipe(name, data):
    path = next(path for path in CONFIGS if path.stem == name)
    assert resolve_config([ConfigLayer.from_file(path)]) == Config(data=DataSection(**data))
    written, whole = yaml.safe_load(path.read_text()), Config().values()
    assert written.keys() == whole.keys()
    assert all(written[section].keys() == whole[section].keys() for section in ("run", "model", "alignment", "train"))


def test_settings_of_an_older_version_have_their_defaults():
    older = {section: dict(values) for section, values in Config().values().items()}
    del older["data"]["split_seed"]
    assert differences(older, Config().values()) == []


def test_round_trip(tmp_path):
    run = resolve_config(
        [ConfigLayer.from_assignments(["train.epochs=3", "train.milestones=[1, 2]", "data.workers=0"])]
    )
    write_config(tmp_path / "config.yaml", run)
    assert resolve_config([ConfigLayer.from_file(tmp_path / "config.yaml")]) == run


def test_later_layers_win(file):
    layers = [
        ConfigLayer.from_file(file("train:\n  epochs: 5\n  seed: 5\n")),
        ConfigLayer.from_options({"train.epochs": 6, "train.method": None}),
        ConfigLayer.from_assignments(["train.epochs=7"]),
    ]
    run = resolve_config(layers)
    assert (run.train.epochs, run.train.seed, run.train.method) == (7, 5, "full")
    assert resolve_config(layers[:2]).train.epochs == 6


def test_numbers_as_people_write_them(file):
    run = resolve_config(
        [ConfigLayer.from_file(file("train:\n  weight_decay: 5e-4\n  learning_rate: 1E-2\n  momentum: 0\n"))]
    )
    assert (run.train.weight_decay, run.train.learning_rate, run.train.momentum) == (5e-4, 0.01, 0.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train:\n  epoch: 3\n", r"run.yaml:2: unknown setting 'train.epoch'; did you mean 'epochs'\?"),
        ("trian:\n  epochs: 3\n", r"run.yaml:1: unknown section 'trian'; did you mean 'train'\?"),
        ("train:\n  zzz: 3\n", r"run.yaml:2: unknown setting 'train.zzz'; valid: method, epochs"),
        ("train:\n  seed: 1\n  epochs: many\n", r"run.yaml:3: train.epochs: should be a valid integer, not 'many'"),
        ("train:\n  epochs: 2.5\n", r"run.yaml:2: train.epochs: should be a valid integer, not 2.5"),
        ("train:\n  epochs: true\n", r"run.yaml:2: train.epochs: should be a valid integer, not True"),
        ("train:\n  epochs: 0\n", r"run.yaml:2: train.epochs: should be greater than or equal to 1, not 0"),
        ("train:\n  method: ful\n", r"run.yaml:2: train.method: should be 'baseline' or 'full', not 'ful'"),
        ("train:\n  milestones: [5, 3]\n", r"run.yaml:2: train.milestones: allowed: epochs in ascending order"),
        ("train:\n  learning_rate: .nan\n", r"run.yaml:2: train.learning_rate: should be .*, not nan"),
        ("run:\n  device: gpu\n", r"run.yaml:2: run.device: allowed: auto, cpu, cuda, cuda:N, not 'gpu'"),
        ("data:\n  pad: 200\n", r"data.pad must be smaller than the image"),
        ("train: 3\n", r"run.yaml:1: 'train' should be a section of settings"),
        ("- 1\n", r"run.yaml:1: expected sections such as 'train:', found list"),
        ("train:\n  epochs: 3\n  epochs: 4\n", r"run.yaml:3: 'train.epochs' stands here a second time"),
        ("train: [\n", r"run.yaml:2: not YAML"),
        (
            "train: !!python/object/apply:os.system ['true']\n",
            r"run.yaml:1: not YAML: tags have no place in settings",
        ),
    ],
)
def test_mistakes_in_a_file(file, text, message):
    with pytest.raises(ConfigError, match=message) as caught:
        resolve_config([ConfigLayer.from_file(file(text))])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("train.epoch=3", r"--set train.epoch=3: unknown setting 'train.epoch'; did you mean 'epochs'\?"),
        ("epochs=3", r"--set epochs=3: expected section.key=value"),
        ("train.epochs", r"--set train.epochs: expected section.key=value"),
        ("train.epochs=x", r"--set train.epochs=x: train.epochs: should be a valid integer"),
        ("train.epochs=[", r"--set train.epochs=\[: not YAML"),
        ("nope.a=1", r"--set nope.a=1: unknown section 'nope'"),
    ],
)
def test_mistakes_in_assignments(assignment, message):
    with pytest.raises(ConfigError, match=message):
        resolve_config([ConfigLayer.from_assignments([assignment])])


def test_missing_and_binary_files(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere.yaml: no such file"):
        ConfigLayer.from_file(tmp_path / "nowhere.yaml")
    (tmp_path / "x.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"x.yaml: not a text file"):
        ConfigLayer.from_file(tmp_path / "x.yaml")


def test_an_empty_file_changes_nothing(file):
    assert resolve_config([ConfigLayer.from_file(file("# nothing\n"))]) == Config()


def test_a_run_is_frozen():
    with pytest.raises(ValueError, match="frozen"):
        Config().train.epochs = 3


def test_differences():
    other = resolve_config([ConfigLayer.from_assignments(["train.seed=4", "data.flip=0"])])
    assert differences(Config().values(), other.values()) == [("data.flip", 0.5, 0), ("train.seed", 0, 4)]
