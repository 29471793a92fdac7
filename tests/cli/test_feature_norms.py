"""``lba evaluate --features`` says what it does with rows of different length, and can leave them as they are."""

import json

import numpy as np
import pytest

WORDS = ("evaluate", "--features", "f.npz", "--protocol-of", "regdb")


@pytest.fixture
def features(tmp_path):
    """Two people whose visible images have norms of 1 and 10; a query's direction and its dot product disagree."""
    rows = np.array([[1, 0], [6, 8], [1, 0.1], [0.1, 1]], np.float32)

    def write(rows=rows):
        identities, modalities = np.array([1, 2, 1, 2]), np.array(["visible"] * 2 + ["infrared"] * 2)
        np.savez(tmp_path / "f.npz", features=rows, identities=identities, modalities=modalities)

    write()
    return write


def rank1(tmp_path, name):
    (result,) = json.loads((tmp_path / name).read_text())["results"]
    return result["mean"]["rank1"]


def test_rows_of_different_length_are_normalised_with_a_warning_or_left_as_they_are(lba, features, tmp_path):
    mode = ("--mode", "infrared-to-visible")
    said = lba(*WORDS, *mode, "--json", "a.json").output
    assert "warning: f.npz: the norms of the features lie between 1 and 10: they are scaled to unit length" in said
    assert rank1(tmp_path, "a.json") == 1.0
    said = lba(*WORDS, *mode, "--no-normalize", "--json", "b.json").output
    assert "they are not scaled, so features with large norms have large scores" in said
    assert rank1(tmp_path, "b.json") == 0.5, "the second person's visible image is the nearest to both by dot product"


def test_rows_of_one_length_are_no_reason_to_warn(lba, features):
    angles = np.random.default_rng(0).uniform(0, 6, 4)
    for scale in (1, 5):
        features(scale * np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float16))
        assert "warning" not in lba(*WORDS).output


def test_rows_of_zeros_need_no_direction_unless_they_are_scaled(lba, features):
    features(np.array([[1, 0], [0, 0], [1, 0], [0, 1]], np.float32))
    assert "all values are zero" in lba(*WORDS, status=2).output
    lba(*WORDS, "--no-normalize")


def test_what_does_not_go_together(lba, features, network_file):
    assert "leave out --no-normalize, or --rerank" in lba(*WORDS, "--no-normalize", "--rerank", status=2).output
    needs = "--no-normalize needs --features: the features of a network have unit length"
    assert needs in lba("evaluate", network_file, "--no-normalize", status=2).output
    assert "leave out --data" in lba(*WORDS, "--data", "x", status=2).output


def test_the_help_says_it(lba):
    text = " ".join(lba("evaluate", "--help").output.replace("│", " ").split())
    assert "Scores are cosine similarities, or dot products with --no-normalize" in text
