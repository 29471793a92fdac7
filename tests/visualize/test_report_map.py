"""The map of embeddings: PCA against a singular value decomposition, and t-SNE."""

import numpy as np
import pytest

from lba_cli.reporting import Silent
from lba_cli.visualize.report import embedding_map as map_module
from lba_cli.visualize.report.album import Album
from lba_cli.visualize.report.embedding_map import embedding_map, principal_components


def test_principal_components_agree_with_the_singular_value_decomposition():
    vectors = np.random.default_rng(0).normal(size=(30, 7)).astype(np.float32) * np.array(
        [9, 5, 1, 1, 1, 1, 1], np.float32
    )
    places, shares = principal_components(vectors)
    left, values, _ = np.linalg.svd(vectors - vectors.mean(0), full_matrices=False)
    np.testing.assert_allclose(np.abs(places), np.abs(left[:, :2] * values[:2]), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(shares, (values**2 / (values**2).sum())[:2], rtol=1e-4)
    alike, none = principal_components(np.ones((3, 4), np.float32))
    assert np.isfinite(alike).all()
    assert max(none) <= 1


@pytest.mark.parametrize("installed", [True, False])
def test_the_map_has_t_sne_if_scikit_learn_is_installed(findings, source, monkeypatch, installed):
    monkeypatch.setattr(map_module, "find_spec", lambda name: installed or None)
    monkeypatch.setattr(map_module, "stochastic_neighbours", lambda vectors, seed: vectors[:, :2].astype(float))
    everyone = findings.drawn[0].samples()
    found = embedding_map(findings.embeddings, everyone, Album(source), points=12, seed=0, listener=Silent())
    assert len(found["pca"]) == len(set(found["images"])) == 12
    assert np.min(found["pca"]) >= 0
    assert np.max(found["pca"]) <= 1
    assert (found["tsne"] is not None) == installed
    assert ("scikit-learn" in found["note"]) != installed
    few = embedding_map(findings.embeddings, everyone, Album(source), points=3, seed=0, listener=Silent())
    assert few["tsne"] is None
    assert "at least 8 images" in few["note"]


def test_a_broken_scikit_learn_costs_only_the_t_sne_map(findings, source, monkeypatch):
    def broken(vectors, seed):
        raise ModuleNotFoundError("No module named 'cloudpickle'")

    monkeypatch.setattr(map_module, "find_spec", lambda name: True)
    monkeypatch.setattr(map_module, "stochastic_neighbours", broken)
    everyone = findings.drawn[0].samples()
    found = embedding_map(findings.embeddings, everyone, Album(source), points=12, seed=0, listener=Silent())
    assert found["tsne"] is None
    assert len(found["pca"]) == 12
    assert "No module named 'cloudpickle'" in found["note"]


def test_t_sne_keeps_clusters_together():
    pytest.importorskip("sklearn")
    random = np.random.default_rng(0)
    centres = random.normal(size=(3, 16)) * 20
    vectors = np.concatenate([centre + random.normal(size=(12, 16)) for centre in centres]).astype(np.float32)
    places = map_module.stochastic_neighbours(vectors, 0)
    nearest = np.linalg.norm(places[:, None] - places[None], axis=2) + np.eye(36) * 1e9
    assert (nearest.argmin(1) // 12 == np.arange(36) // 12).all()
