"""Options that have no effect on a run are warned of."""

import pytest
from fake_listener import Recorder

from lba_cli.config import ConfigLayer, resolve_config
from lba_cli.methods import LossOptions, LossTerm, Method, loss_terms
from lba_cli.methods.table import METHODS
from lba_cli.training.components import OPTION_KEYS, build_objective, unused_options


def config(*assignments):
    return resolve_config([ConfigLayer.from_assignments(list(assignments))])


@pytest.mark.parametrize(
    ("assignments", "unused"),
    [
        (["train.method=full", "alignment.temperature=20", "train.triplet_margin=0.5"], []),
        (["train.method=baseline", "train.triplet_margin=0.5"], []),
        (["train.method=baseline", "alignment.weighting=uniform"], ["alignment.weighting"]),
        (["train.method=agw", "train.triplet_margin=0.5"], ["train.triplet_margin"]),
        (["train.method=caj", "alignment.masks=false"], ["alignment.masks"]),
        (["train.method=caj", "alignment.masks=false", "loss.identity_consistency=1"], []),
        (["train.method=full", "loss.dense_triplet=0", "alignment.margin=0.5"], ["alignment.margin"]),
        (["train.method=full", "loss.hard_triplet=0", "train.triplet_margin=1"], ["train.triplet_margin"]),
        (["train.method=baseline"], []),
    ],
)
def test_changed_options_without_effect_are_found(assignments, unused):
    assert unused_options(config(*assignments)) == unused


def test_every_option_of_the_loss_terms_has_a_key():
    assert set(OPTION_KEYS) == set(LossOptions.__dataclass_fields__)
    terms = [term for term in vars(loss_terms).values() if isinstance(term, LossTerm)]
    assert set().union(*(term.options for term in terms)) == set(OPTION_KEYS)


def test_a_term_that_does_not_name_its_options_is_not_warned_of(monkeypatch):
    own = LossTerm("own", lambda step: {"own": step.pooled.mean()})
    monkeypatch.setitem(METHODS, "mine", Method("mine", "a term of my own", {own: 1.0}))
    assert unused_options(config("train.method=mine", "train.triplet_margin=9")) == []


def test_the_warning_names_key_and_method():
    listener = Recorder()
    build_objective(config("train.method=agw", "alignment.margin=1"), listener)
    assert listener.warnings == ["alignment.margin has no effect: no loss term of 'agw' with a weight above 0 uses it"]
