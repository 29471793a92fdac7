"""Evaluation of a network on a store: every image is embedded once, through the right stem, and scored by the protocol."""

import json
from collections import Counter

import numpy as np
import pytest
import torch
from small_setup import HEIGHT, WIDTH

from lba_cli.data.store import FolderImages
from lba_cli.datasets import Setting
from lba_cli.datasets.sysu import read_sysu
from lba_cli.errors import DataError, LbaError
from lba_cli.evaluation import rank_metrics
from lba_cli.evaluation.embedding import embed_views
from lba_cli.evaluation.evaluate import EvaluationOptions, evaluate
from lba_cli.evaluation.network_embedder import PLAIN
from lba_cli.evaluation.result import FIGURES
from lba_cli.evaluation.results import EvaluationResults
from lba_cli.evaluation.scoring import draw_setting
from lba_cli.model import load_network
from lba_cli.reporting import Silent

MODES = ("all-search", "indoor-search")
EVERY = [
    Setting(mode, shots, protocol)
    for mode in MODES
    for shots in ("single", "multi")
    for protocol in ("community", "official")
]
IN_THIS_PROCESS = EvaluationOptions(workers=0)


@pytest.fixture(scope="module")
def network(network_file):
    return load_network(network_file)


@pytest.fixture(scope="module")
def results(network, source):
    return evaluate(network, source, EVERY, listener=Silent(), options=IN_THIS_PROCESS)


def test_every_setting_has_ten_draws(results, source):
    assert [result.setting for result in results] == EVERY
    for result in results:
        assert len(result.trials) == 10
        assert result.num_query == sum(s.split == "test" and s.modality == "infrared" for s in source.samples)
        assert all(0 < trial.mAP <= 1 for trial in result.trials)


def test_figures_equal_those_of_single_embeddings(results, network, source):
    """One draw again: each image is embedded on its own and scored without the evaluation."""
    draw = draw_setting(source, EVERY[0]).draws[3]
    gallery = draw.gallery

    def embed(index):
        image = torch.from_numpy(source.read([index])).permute(0, 3, 1, 2).float() / 255
        mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        with torch.no_grad():
            normalised = (image - mean.view(3, 1, 1)) / deviation.view(3, 1, 1)
            return network.embed(normalised, source.samples[index].modality)[0].numpy()

    scores = np.stack([embed(i) for i in draw.queries]) @ np.stack([embed(i) for i in gallery]).T
    columns = [
        [getattr(source.samples[i], name) for i in side]
        for name in ("identity", "camera")
        for side in (draw.queries, gallery)
    ]
    wanted = rank_metrics(-scores, *columns, protocol="sysu")
    found = results[0].trials[3]
    assert found.mAP == pytest.approx(wanted.mAP, abs=1e-4)


def test_each_image_is_embedded_once(network, source, monkeypatch):
    seen = Counter()
    read = source.read

    def counted(indices):
        seen.update(indices)
        return read(indices)

    monkeypatch.setattr(source, "read", counted)
    evaluate(network, source, EVERY, listener=Silent(), options=IN_THIS_PROCESS)
    assert set(seen.values()) == {1}


def test_store_and_folder_give_the_same_figures(results, network, tiny):
    folder = FolderImages(read_sysu(tiny), HEIGHT, WIDTH)
    again = evaluate(network, folder, EVERY[:1], listener=Silent(), options=IN_THIS_PROCESS)
    assert again[0].figures() == results[0].figures()


def test_batch_size_and_workers_change_nothing(results, network, source):
    options = EvaluationOptions(batch_size=7, workers=2)
    again = evaluate(network, source, EVERY[:1], listener=Silent(), options=options)
    assert again[0].figures() == results[0].figures()


def test_the_network_keeps_its_mode(network, source):
    network.train()
    embed_views(network, source, [0, 1], listener=Silent(), workers=0)[PLAIN]
    assert network.training
    network.eval()


def test_weights_that_give_no_finite_values_are_reported(network_file, source):
    broken = load_network(network_file)
    with torch.no_grad():
        broken.trunk["layer4"][1].conv2.weight.fill_(torch.inf)
    with pytest.raises(LbaError, match="not finite"):
        embed_views(broken, source, [0], listener=Silent(), workers=0)[PLAIN]


def test_results_as_json(results):
    content = json.loads(EvaluationResults((tuple(results),)).as_json(checkpoint="x.pt"))
    assert content["checkpoint"] == "x.pt"
    for entry, setting in zip(content["results"], EVERY, strict=True):
        assert (entry["mode"], entry["shots"], entry["protocol"]) == (setting.mode, setting.shots, setting.protocol)
        for name in FIGURES:
            values = [trial[name] for trial in entry["trials"]]
            assert entry["mean"][name] == pytest.approx(np.mean(values))
            assert entry["std"][name] == pytest.approx(np.std(values))


def test_a_data_set_without_test_images_is_refused(network, source):
    class NoTests:
        name, height, width, permutations, dataset, trial = "x", HEIGHT, WIDTH, None, "sysu", 0
        samples = tuple(s for s in source.samples if s.split == "train")

    with pytest.raises(DataError, match="no infrared queries"):
        evaluate(network, NoTests(), EVERY[:1], listener=Silent())
