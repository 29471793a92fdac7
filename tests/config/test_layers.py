"""Layers of config values: they resolve to one config, and mistakes are reported with their place."""

import pytest

from lba_cli.config import Config, ConfigLayer, TrainSection, differences, resolve_config, write_config
from lba_cli.datasets import get_dataset
from lba_cli.errors import ConfigError


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "run.yaml"
        path.write_text(text)
        return path

    return write


def test_a_written_config_is_read_back_the_same(tmp_path):
    config = resolve_config(
        [ConfigLayer.from_assignments(["train.epochs=3", "train.milestones=[1, 2]", "data.workers=0"])]
    )
    write_config(tmp_path / "config.yaml", config)
    assert resolve_config([ConfigLayer.from_file(tmp_path / "config.yaml")]) == config


def test_later_layers_replace_earlier_ones(file):
    layers = [
        ConfigLayer.from_file(file("train:\n  epochs: 5\n  seed: 5\n")),
        ConfigLayer.from_options({"train.epochs": 6, "train.method": None}),
        ConfigLayer.from_assignments(["train.epochs=7"]),
    ]
    config = resolve_config(layers)
    assert (config.train.epochs, config.train.seed, config.train.method) == (7, 5, "full")
    assert resolve_config(layers[:2]).train.epochs == 6


def test_numbers_may_be_written_with_an_exponent_or_without_a_point(file):
    config = resolve_config(
        [ConfigLayer.from_file(file("train:\n  weight_decay: 5e-4\n  learning_rate: 1E-2\n  momentum: 0\n"))]
    )
    assert (config.train.weight_decay, config.train.learning_rate, config.train.momentum) == (5e-4, 0.01, 0.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train:\n  epoch: 3\n", r"run.yaml:2: unknown key 'train.epoch'; did you mean 'epochs'\?"),
        ("trian:\n  epochs: 3\n", r"run.yaml:1: unknown section 'trian'; did you mean 'train'\?"),
        ("train:\n  zzz: 3\n", r"run.yaml:2: unknown key 'train.zzz'; valid: method, epochs"),
        ("train:\n  seed: 1\n  epochs: many\n", r"run.yaml:3: train.epochs: should be a valid integer, not 'many'"),
        ("train:\n  epochs: 2.5\n", r"run.yaml:2: train.epochs: should be a valid integer, not 2.5"),
        ("train:\n  epochs: true\n", r"run.yaml:2: train.epochs: should be a valid integer, not True"),
        ("train:\n  epochs: 0\n", r"run.yaml:2: train.epochs: should be greater than or equal to 1, not 0"),
        (
            "train:\n  method: ful\n",
            r"run.yaml:2: train.method: there is no such method; did you mean 'full'\?, not 'ful'",
        ),
        ("train:\n  milestones: [5, 3]\n", r"run.yaml:2: train.milestones: allowed: epochs in ascending order"),
        ("train:\n  learning_rate: .nan\n", r"run.yaml:2: train.learning_rate: should be .*, not nan"),
        ("run:\n  device: gpu\n", r"run.yaml:2: run.device: allowed: auto, cpu, cuda, cuda:N, mps, not 'gpu'"),
        ("data:\n  height: 100\n  pad: 200\n", r"run.yaml:3: data.pad must be smaller than the image$"),
        ("train: 3\n", r"run.yaml:1: 'train' should be a section of keys such as 'train.…', not 3"),
        ("- 1\n", r"run.yaml:1: expected sections such as 'train:', found list"),
        ("train:\n  epochs: 3\n  epochs: 4\n", r"run.yaml:3: 'train.epochs' is given a second time"),
        ("train: [\n", r"run.yaml:2: not valid YAML"),
        (
            "train: !!python/object/apply:os.system ['true']\n",
            r"run.yaml:1: not valid YAML for a config: tags are not allowed",
        ),
    ],
)
def test_mistakes_in_a_file_are_reported_with_file_and_line(file, text, message):
    with pytest.raises(ConfigError, match=message) as caught:
        resolve_config([ConfigLayer.from_file(file(text))])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("train.epoch=3", r"--set train.epoch=3: unknown key 'train.epoch'; did you mean 'epochs'\?"),
        ("epochs=3", r"--set epochs=3: expected section.key=value"),
        ("train.epochs", r"--set train.epochs: expected section.key=value"),
        ("train.epochs=x", r"--set train.epochs=x: train.epochs: should be a valid integer"),
        ("train.epochs=[", r"--set train.epochs=\[: not valid YAML"),
        ("nope.a=1", r"--set nope.a=1: unknown section 'nope'"),
    ],
)
def test_mistakes_in_assignments_are_reported_with_the_assignment(assignment, message):
    with pytest.raises(ConfigError, match=message):
        resolve_config([ConfigLayer.from_assignments([assignment])])


def test_missing_and_binary_files_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere.yaml: no such file"):
        ConfigLayer.from_file(tmp_path / "nowhere.yaml")
    (tmp_path / "x.yaml").write_bytes(b"train:\n  epochs: \xff")
    with pytest.raises(ConfigError, match=r"x.yaml: line 2 is not UTF-8 text \(byte 0xff\); save the file as UTF-8"):
        ConfigLayer.from_file(tmp_path / "x.yaml")


def test_a_file_in_utf16_is_read(tmp_path):
    (tmp_path / "x.yaml").write_bytes("train:\r\n  epochs: 7\r\n".encode("utf-16"))
    assert resolve_config([ConfigLayer.from_file(tmp_path / "x.yaml")]).train.epochs == 7


def test_an_empty_file_changes_nothing(file):
    assert resolve_config([ConfigLayer.from_file(file("# nothing\n"))]) == Config()


def test_a_config_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        Config().train.epochs = 3


def test_differences_name_every_key_that_differs():
    other = resolve_config([ConfigLayer.from_assignments(["train.seed=4", "data.flip=0"])])
    assert differences(Config().values(), other.values()) == [("data.flip", 0.5, 0), ("train.seed", 0, 4)]


def test_a_key_that_one_config_lacks_counts_as_its_default():
    older = {section: dict(values) for section, values in Config().values().items()}
    del older["data"]["pad"]
    assert differences(older, Config().values()) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data:\n  split_sed: 1\n", r"run.yaml:2: unknown key 'data.split_sed'; did you mean 'split_seed'\?$"),
        ("data:\n  split_seed: one\n", r"run.yaml:2: data.split_seed: should be a valid integer, .*not 'one'$"),
        (
            "data:\n  dataset: folder\n  test_share: 2\n",
            r"run.yaml:3: data.test_share: .* less than or equal to 1, not 2$",
        ),
        (
            "data:\n  dataset: sysuu\n",
            r"run.yaml:2: data.dataset: there is no such data set; did you mean 'sysu'\?, not 'sysuu'$",
        ),
    ],
)
def test_mistakes_in_a_data_sets_own_keys_are_reported_with_file_and_line(file, text, message):
    with pytest.raises(ConfigError, match=message) as caught:
        resolve_config([ConfigLayer.from_file(file(text))])
    assert "\n" not in str(caught.value)


def test_a_data_sets_own_keys_have_defaults_and_reach_its_options(file):
    spec = get_dataset("folder")
    config = resolve_config([ConfigLayer.from_file(file("data:\n  dataset: folder\n  split_seed: 7\n"))])
    options = config.data.options_for(spec)
    assert (options.split_seed, options.test_share) == (7, 0.5)
    assert config.values()["data"]["split_seed"] == 7
    assert "test_share" not in config.values()["data"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("loss:\n  identity: -1\n", r"run.yaml:2: loss.identity: should be greater than or equal to 0, not -1$"),
        ("loss:\n  identity: lots\n", r"run.yaml:2: loss.identity: should be a valid number, not 'lots'$"),
        (
            "train:\n  method: baseline\nloss:\n  dense_triplet: 0.5\n",
            r"run.yaml:4: the method 'baseline' has no loss term 'dense_triplet'; it has identity, hard_triplet$",
        ),
        ("loss:\n  triplet: 1\n", r"run.yaml:2: the method 'full' has no loss term 'triplet'; it has identity_cons.*"),
        (
            "train:\n  method: baseline\nloss:\n  identity: 0\n  hard_triplet: 0\n",
            r"run.yaml:3: every loss term of the method 'baseline' has weight 0: there is nothing to minimise$",
        ),
    ],
)
def test_mistakes_in_loss_weights_are_reported_with_file_and_line(file, text, message):
    with pytest.raises(ConfigError, match=message) as caught:
        resolve_config([ConfigLayer.from_file(file(text))])
    assert "\n" not in str(caught.value)


FULL_RUN = """
train:
  method: full
loss:
  identity_consistency: 1.0
  dense_triplet: 0.5
  identity: 1.0
  hard_triplet: 2.0
"""
BASELINE = ConfigLayer.from_options({"train.method": "baseline"})


def test_the_config_of_a_run_serves_another_method(file):
    """Weights that are the run's method's defaults are dropped; the others stay."""
    config = resolve_config([ConfigLayer.from_file(file(FULL_RUN)), BASELINE])
    assert config.loss.weights() == {"hard_triplet": 2.0}
    assert resolve_config([ConfigLayer.from_file(file(FULL_RUN))]).loss.weights()["dense_triplet"] == 0.5


def test_a_changed_weight_of_a_term_that_the_other_method_lacks_is_refused(file):
    changed = FULL_RUN.replace("dense_triplet: 0.5", "dense_triplet: 0.7")
    with pytest.raises(ConfigError, match=r"run.yaml:6: the method 'baseline' has no loss term 'dense_triplet'"):
        resolve_config([ConfigLayer.from_file(file(changed)), BASELINE])


def test_an_assigned_weight_of_a_term_that_the_method_lacks_is_refused():
    """Also a default one, because somebody has asked for it."""
    assigned = ConfigLayer.from_assignments(["loss.dense_triplet=0.5"])
    with pytest.raises(ConfigError, match=r"--set loss.dense_triplet=0.5: the method 'baseline' has no loss term"):
        resolve_config([BASELINE, assigned])


def settings_of(config):
    return config.model.non_local, config.model.retrieval_feature, config.data.pad, config.data.visible_views


@pytest.mark.parametrize("layers", [{"train": {"method": "caj"}}, {"train": TrainSection(method="caj"), "data": {}}])
def test_a_method_brings_its_settings_however_its_config_is_made(layers):
    assert settings_of(Config(**layers)) == (True, "neck", 10, 2)


def test_a_setting_that_is_given_outweighs_the_methods(file):
    text = "data:\n  pad: 4\nmodel:\n  non_local: false\n"
    for layers in (
        [ConfigLayer.from_options({"train.method": "caj"}), ConfigLayer.from_file(file(text))],
        [ConfigLayer.from_file(file(text)), ConfigLayer.from_options({"train.method": "caj"})],
    ):
        assert settings_of(resolve_config(layers)) == (False, "neck", 4, 2)


def test_the_settings_of_a_runs_method_do_not_stay_with_another():
    """Values that are the run's method's own are dropped; those that somebody chose stay."""
    run = resolve_config([ConfigLayer.from_assignments(["train.method=caj", "data.erase=0.3", "train.epochs=9"])])
    for method, wanted in (("full", (False, "pooled", 0, 1)), ("agw", (True, "neck", 10, 1))):
        other = resolve_config([ConfigLayer(run.values(), "run"), ConfigLayer.from_options({"train.method": method})])
        assert settings_of(other) == wanted
        assert (other.data.erase, other.train.epochs) == (0.3, 9)
    back = resolve_config([ConfigLayer(Config().values(), "run"), ConfigLayer.from_options({"train.method": "caj"})])
    assert back == Config(train={"method": "caj"})
