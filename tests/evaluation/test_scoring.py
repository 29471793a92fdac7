"""Scoring: every data set in both directions through the right stems, variants, and data that can't be scored."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from fake_dataset import MadeImages, OppositeStems, tree

from lba_cli.config import EvaluationSection
from lba_cli.data.samples import Sample
from lba_cli.datasets import DATASETS, get_dataset
from lba_cli.errors import DataError
from lba_cli.evaluation import rank_metrics
from lba_cli.evaluation.embedding import embed_views
from lba_cli.evaluation.evaluate import EvaluationOptions, evaluate
from lba_cli.evaluation.feature_files import FeatureSet
from lba_cli.evaluation.network_embedder import CPU_CHUNK, PLAIN, View
from lba_cli.evaluation.rerank import Reranking, rerank
from lba_cli.evaluation.scoring import draw_setting, require_scorable
from lba_cli.evaluation.setting_choice import choose_settings
from lba_cli.evaluation.variants import choose_variants
from lba_cli.model import load_network
from lba_cli.reporting import Silent

EVERYTHING = {
    "sysu": [{"mode": "all", "shots": "both"}],
    "regdb": [{}],
    "llcm": [{}, {"protocol": "released"}],
    "folder": [{"shots": "both"}, {"shots": "whole"}],
}


def scored(network, source, **words):
    return evaluate_variants(network, source, choose_settings(EvaluationSection(**words), source))


def evaluate_variants(network, source, settings, section=EvaluationSection()):
    options = EvaluationOptions(choose_variants(section, ["pooled"]), workers=0)
    return evaluate(network, source, settings, listener=Silent(), options=options)


@pytest.mark.parametrize("dataset", DATASETS)
def test_each_side_goes_through_its_own_stem(dataset):
    source = MadeImages(tree(dataset), dataset, split=int(dataset == "regdb"))
    for words in EVERYTHING[dataset]:
        network = OppositeStems()
        results = scored(network, source, **words)
        for result in results:
            assert result.mean()["rank1"] == result.mean()["mAP"] == result.mean()["mINP"] == 1
        needed = set().union(*(draw_setting(source, result.setting).samples() for result in results))
        modalities = [source.samples[index].modality for index in needed]
        chunks = {modality: -(-modalities.count(modality) // CPU_CHUNK) for modality in network.seen}
        assert network.seen == {modality: CPU_CHUNK * count for modality, count in chunks.items()}


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_wrong_stem_lowers_the_figures(dataset):
    """The same network with one stem for both sides knows nobody across them, in any setting."""
    source = MadeImages(tree(dataset), dataset, split=int(dataset == "regdb"))

    class OneStem(OppositeStems):
        def pooled(self, images, modality):
            return super().pooled(images, "visible")

    for words in EVERYTHING[dataset]:
        for result in scored(OneStem(), source, **words):
            assert result.mean()["rank1"] < 0.9


def test_results_name_the_direction():
    source = MadeImages(tree("llcm"), "llcm")
    forth, back = scored(OppositeStems(), source)
    assert (forth.direction, back.direction) == ("infrared-to-visible", "visible-to-infrared")
    (released,) = scored(OppositeStems(), source, protocol="released")
    assert (released.setting.mode, released.direction) == ("visible-to-infrared", "infrared-to-visible")
    assert released.note == get_dataset("llcm").protocol_notes["released"] != ""


def test_identities_with_one_modality_are_distractors_and_their_queries_do_not_count():
    samples = tree("folder", identities=range(1, 5))
    samples += [s for s in tree("folder", identities=[7]) if s.modality == "visible"]
    samples += [s for s in tree("folder", identities=[8]) if s.modality == "infrared"]
    forth, back = scored(OppositeStems(), MadeImages(samples, "folder"))
    assert (forth.num_distractors, back.num_distractors) == (1, 1)
    assert forth.num_query == 5 * 2 * 3
    assert forth.trials[0].num_queries == 4 * 2 * 3
    assert forth.num_gallery == 5 * 2


def test_cmc_of_regdb_counts_images():
    """A query of identity 3 ranks two images of identity 2 before its own: rank 3 of images, rank 2 of identities."""
    samples = [Sample("q", 3, 1, "visible", "test"), Sample("w", 2, 1, "visible", "test")]
    samples += [Sample(f"g{n}", i, 2, "infrared", "test") for n, i in enumerate((2, 2, 3))]
    source = MadeImages(samples, "regdb", split=1)
    (result, _) = scored(Blind(), source)
    assert result.trials[0].cmc[1] < result.trials[0].cmc[2] == 1


class Blind(OppositeStems):
    """Gives every image the same embedding, so the order of the gallery decides."""

    def pooled(self, images, modality):
        return torch.ones(len(images), self.embedding_size)


@pytest.mark.slow
def test_every_combination_of_extras_is_scored_beside_the_plain_figures(network_file, source):
    section = EvaluationSection(flip=True, rerank=True, features_from="neck")
    names = ["plain", "flip", "neck", "flip+neck", "rerank", "flip+rerank", "neck+rerank", "flip+neck+rerank"]
    assert [variant.name for variant in choose_variants(section, ["pooled"])] == names
    network = load_network(network_file)
    with torch.no_grad():
        network.neck.running_mean.normal_(generator=torch.Generator().manual_seed(0))
    settings = choose_settings(section, source)
    results = evaluate_variants(network, source, settings, section)
    assert [result.variant for result in results] == names
    assert results[0].figures() == evaluate_variants(network, source, settings)[0].figures()
    assert len({tuple(result.mean().values()) for result in results}) == len(names)


def test_views_equal_those_of_one_image_at_a_time(network_file, source):
    network = load_network(network_file)
    with torch.no_grad():
        network.neck.running_mean.normal_(generator=torch.Generator().manual_seed(0))
    views = [PLAIN, View(flip=True), View(place="neck"), View(flip=True, place="neck")]
    chosen = [next(i for i, s in enumerate(source.samples) if s.modality == m) for m in ("visible", "infrared")]
    found = embed_views(network, source, chosen, views, listener=Silent(), workers=0)
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    for index in chosen:
        image = torch.from_numpy(source.read([index])[0].copy()).float() / 255
        sides = []
        for pixels in (image, image[:, torch.arange(image.shape[1] - 1, -1, -1)]):
            inputs = ((pixels - mean) / deviation).permute(2, 0, 1)[None]
            with torch.no_grad():
                maps = network.maps(inputs, source.samples[index].modality).layer4
                sides.append(maps.pow(3).mean(dim=(2, 3)).add(1e-12).pow(1 / 3)[0])
        for view in views:
            each = []
            for pooled in sides[: 1 + view.flip]:
                with torch.no_grad():
                    feature = network.neck(pooled[None])[0] if view.place == "neck" else pooled
                each.append((feature / feature.norm()).numpy())
            wanted = np.mean(each, axis=0)
            np.testing.assert_allclose(found[view].of([index])[0], wanted / np.linalg.norm(wanted), atol=1e-5)


def test_reranked_figures_keep_the_match_rules(network_file, source):
    """The exclusion of camera 2 for queries of camera 3 applies to re-ranked distances too."""
    network = load_network(network_file)
    section = EvaluationSection(rerank=True, rerank_k1=5, rerank_k2=2, rerank_lambda=0.1)
    settings = choose_settings(section, source)
    _, found = evaluate_variants(network, source, settings, section)
    draw = draw_setting(source, settings[0]).draws[4]
    every = [*draw.queries, *draw.gallery]
    embeddings = embed_views(network, source, every, [PLAIN], listener=Silent(), workers=0)[PLAIN]
    distance = rerank(embeddings.of(draw.queries), embeddings.of(draw.gallery), Reranking(5, 2, 0.1))
    columns = [
        [getattr(source.samples[i], name) for i in side]
        for name in ("identity", "camera")
        for side in (draw.queries, draw.gallery)
    ]
    assert found.trials[4].mAP == rank_metrics(distance, *columns, protocol="sysu").mAP


@pytest.mark.parametrize("dataset", DATASETS)
def test_data_that_cannot_be_scored_are_refused_before_the_work(dataset):
    samples = tree(dataset)
    require_scorable(MadeImages(samples, dataset))
    strangers = [replace(s, identity=s.identity + 10 * (s.modality == "infrared")) for s in samples]
    with pytest.raises(DataError, match="no query has a true match in the gallery"):
        require_scorable(MadeImages(strangers, dataset))


def test_a_camera_number_in_both_modalities():
    """In folders of one's own it means two cameras and nothing is ignored; LLCM's protocol ignores every match."""
    samples = tree("folder", cameras={"visible": (1,), "infrared": (1,)})
    source = MadeImages(samples, "folder")
    require_scorable(source)
    for result in scored(OppositeStems(), source):
        assert result.trials[0].num_queries == result.num_query == len(samples) // 2
        assert result.mean()["rank1"] == 1
    with pytest.raises(DataError, match="the protocol of LLCM ignores every match"):
        require_scorable(MadeImages(samples, "llcm"))


def test_images_of_one_modality_say_how_to_test_others():
    samples = [sample for sample in tree("folder") if sample.modality == "visible"]
    with pytest.raises(
        DataError, match=r"have no infrared queries for .*: list people who have both in data\.test_ids"
    ):
        require_scorable(MadeImages(samples, "folder"))
    features = FeatureSet("theirs", "folder", 0, tuple(samples), None)
    with pytest.raises(DataError, match=r"have no infrared queries for infrared-to-visible$"):
        require_scorable(features)
    with pytest.raises(DataError, match=r"have no infrared queries for infrared-to-visible$"):
        require_scorable(MadeImages([s for s in tree("llcm") if s.modality == "visible"], "llcm"))


def test_a_folder_without_matches_says_what_to_change():
    samples = [replace(s, identity=s.identity + 10 * (s.modality == "infrared")) for s in tree("folder")]
    message = r"no test identity has images of both modalities: .*data\.test_ids.*data\.test_share=0"
    with pytest.raises(DataError, match=message):
        require_scorable(MadeImages(samples, "folder"))
