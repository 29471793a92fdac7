"""The data of a report, compared with slow and obvious computations."""

import math
from dataclasses import replace

import numpy as np
import pytest
from fake_dataset import MadeImages, OppositeStems, tree
from report_pages import FEW, SETTING, bytes_of
from small_setup import HEIGHT, WIDTH

from lba_cli.data.store import FolderImages
from lba_cli.datasets.sysu import read_sysu
from lba_cli.errors import DataError
from lba_cli.evaluation.embedding import embed_views
from lba_cli.evaluation.feature_maps import image_maps
from lba_cli.evaluation.network_embedder import PLAIN
from lba_cli.evaluation.scoring import draw_setting, ignored_images
from lba_cli.reporting import Silent
from lba_cli.visualize.report.album import Album
from lba_cli.visualize.report.collect import analyse, assemble
from lba_cli.visualize.report.comparison import compare, confusions, distances, worst_pairs
from lba_cli.visualize.report.matching import quantised_rows
from lba_cli.visualize.report.ranked_lists import choose_queries, ranked_lists
from lba_cli.visualize.report.roc_curve import roc_curve
from lba_cli.visualize.report.run_curves import curves


def test_lists_are_ranked_by_score_without_ignored_images(data, source, first):
    draw, scores, ignored = first.draw, first.scores, first.ignored
    images = data["images"]
    by_path = {sample.path: index for index, sample in enumerate(source.samples)}
    assert len(data["lists"]["lists"]) == 6
    for shown in data["lists"]["lists"]:
        row = draw.queries.index(by_path[images[shown["image"]]["path"]])
        allowed = [place for place in range(len(draw.gallery)) if not ignored[row, place]]
        wanted = sorted(allowed, key=lambda place, row=row: (-scores[row, place], place))[:4]
        assert [by_path[images[place]["path"]] for place, _, _ in shown["found"]] == [draw.gallery[w] for w in wanted]
        query = source.samples[draw.queries[row]].identity
        rights = [source.samples[draw.gallery[place]].identity == query for place in wanted]
        assert [right for _, _, right in shown["found"]] == rights
        possible = sum(source.samples[draw.gallery[place]].identity == query for place in allowed)
        assert shown["possible"] == min(4, possible)
        kind = "wrong" if not any(rights) else "right" if all(rights[: min(4, possible)]) else "mixed"
        assert shown["outcome"] == kind


def test_average_precision_of_all_lists_is_the_map(findings, first, source):
    album = Album(source)
    everything = ranked_lists(source, first, album, queries=10_000, top=1, seed=0)
    mean = np.mean([shown["precision"] for shown in everything["lists"]])
    assert mean == pytest.approx(findings.results[0].trials[0].mAP, abs=1e-4)
    assert everything["num_query_counted"] == findings.results[0].trials[0].num_queries


def test_all_right_and_all_wrong():
    """The network recognises everybody; then some queries have no true match."""
    source = MadeImages(tree("sysu", identities=range(1, 5)), "sysu")
    draw = draw_setting(source, SETTING).draws[0]
    embeddings = embed_views(OppositeStems(), source, {*draw.queries, *draw.gallery}, listener=Silent(), workers=0)[
        PLAIN
    ]

    def lists(draw):
        return ranked_lists(source, compare(source, draw, embeddings), Album(source), queries=99, top=10, seed=0)

    shown = lists(draw)
    assert {each["outcome"] for each in shown["lists"]} == {"right"}
    assert not worst_pairs(confusions(source, [compare(source, draw, embeddings)]), Album(source))
    stranger = draw._replace(gallery=[i for i in draw.gallery if source.samples[i].identity > 1])
    known = lists(stranger)
    assert known["num_query_counted"] == len(known["lists"]) == known["num_query"] * 3 // 4
    nobody = draw._replace(
        queries=[i for i in draw.queries if source.samples[i].identity == 1], gallery=stranger.gallery
    )
    with pytest.raises(DataError, match="no query has a true match"):
        lists(nobody)


def test_half_of_the_chosen_queries_are_the_hardest():
    precision = np.array([0.9, np.nan, 0.1, 0.5, 0.3, 0.8, 0.7, 0.2])
    chosen = choose_queries(precision, 4, seed=0)
    assert len(set(chosen)) == 4
    assert {2, 7} <= set(chosen)
    assert 1 not in chosen
    assert choose_queries(precision, 4, seed=0) == chosen
    assert choose_queries(precision, 20, seed=0) == [0, 2, 3, 4, 5, 6, 7]
    assert choose_queries(precision, 1, seed=0) == [2]


def test_confusions_agree_with_a_loop(findings, source):
    counted = {}
    for draw in findings.drawn[0].draws:
        scores = findings.embeddings.of(draw.queries) @ findings.embeddings.of(draw.gallery).T
        ignored = ignored_images(source, draw.queries, draw.gallery)
        for row, query in enumerate(draw.queries):
            there = [place for place in range(len(draw.gallery)) if not ignored[row, place]]
            who = [source.samples[draw.gallery[place]].identity for place in there]
            me = source.samples[query].identity
            if me not in who:
                continue
            best = max(there, key=lambda place, row=row, scores=scores: (scores[row, place], -place))
            found = source.samples[draw.gallery[best]].identity
            if found != me:
                pair = tuple(sorted((me, found)))
                counted[pair] = counted.get(pair, 0) + 1
    assert {pair: each.count for pair, each in findings.confused.items()} == counted
    worst = worst_pairs(dict(findings.confused), Album(source))
    assert len(worst) == min(10, len(counted))
    assert [pair["count"] for pair in worst] == sorted(counted.values(), reverse=True)[:10]
    assert all(pair["scores"][0] >= pair["scores"][1] for pair in worst)


def test_distances_agree_with_a_loop(findings, source, first):
    draw, scores, ignored = first.draw, first.scores, first.ignored
    found = distances(first)
    pairs = {True: [], False: []}
    for row, query in enumerate(draw.queries):
        for place, image in enumerate(draw.gallery):
            if not ignored[row, place]:
                same = source.samples[query].identity == source.samples[image].identity
                pairs[same].append(1 - scores[row, place])
    assert found["counts"] == [len(pairs[True]), len(pairs[False])]
    np.testing.assert_allclose(found["means"], [np.mean(pairs[True]), np.mean(pairs[False])], rtol=1e-4)
    assert sum(found["same"]) == pytest.approx(1, abs=1e-3)
    assert sum(found["other"]) == pytest.approx(1, abs=1e-3)
    assert found["closer"] == pytest.approx(np.mean(np.array(pairs[False]) < np.median(pairs[True])))


def test_the_roc_curve_agrees_with_counting(source, first):
    scores, same = first.scores[~first.ignored], first.same[~first.ignored]
    found = roc_curve(first)
    assert found["counts"] == [same.sum(), (~same).sum()]
    for rate, accepted in found["points"]:
        thresholds = [t for t in np.unique(scores) if (scores[~same] >= t).mean() <= 10**rate * (1 + 1e-4)]
        assert accepted == pytest.approx(max(((scores[same] >= t).mean() for t in thresholds), default=0), abs=1e-4)
    assert found["points"][0][0] == pytest.approx(-math.log10((~same).sum()), abs=1e-4)
    assert found["points"][-1] == [0, 1]
    for far, tar, threshold in found["rows"]:
        assert (scores[~same] >= threshold - 1e-4).mean() <= far + 0.02
        assert tar == pytest.approx((scores[same] >= threshold).mean(), abs=0.02)


def test_without_impostors_there_is_no_roc_curve(first):
    assert roc_curve(replace(first, same=np.ones_like(first.same))) is None
    assert roc_curve(replace(first, ignored=np.ones_like(first.ignored))) is None


def test_probabilities_are_quantised_by_row():
    probability = np.random.default_rng(0).dirichlet(np.ones(12) * 0.3, size=8).astype(np.float32)
    packed = quantised_rows(probability)
    back = bytes_of(packed["relative"]).reshape(8, 12) / 255 * np.array(packed["peak"])[:, None]
    np.testing.assert_allclose(back, probability, atol=3e-3)


def test_people_have_maps_of_both_stages(data):
    assert len(data["people"]) == 2
    for person in data["people"]:
        visible, infrared, other = (data["images"][person["images"][name]] for name in ("visible", "infrared", "other"))
        assert visible["identity"] == infrared["identity"] != other["identity"]
        assert (visible["modality"], infrared["modality"], other["modality"]) == ("visible", "infrared", "visible")
        for stage in person["stages"].values():
            size = stage["grid"][0] * stage["grid"][1]
            assert size == (HEIGHT // 16) * (WIDTH // 16)
            assert len(bytes_of(stage["same"]["relative"])) == len(bytes_of(stage["other"]["relative"])) == size**2
            assert {len(bytes_of(m)) for m in stage["masks"] + stage["attention"]} == {size}
            assert len(stage["same"]["peak"]) == size


def test_each_image_is_embedded_once(data):
    paths = [image["path"] for image in data["images"]]
    assert len(paths) == len(set(paths))
    assert all(image["src"].startswith("data:image/jpeg;base64,") for image in data["images"])


def test_curves_contain_only_finite_numbers():
    records = [
        {"epoch": 0, "learning_rate": 0.1, "losses": {"identity": 2.0, "dense_triplet": float("nan")}},
        {"epoch": 1, "learning_rate": "?", "losses": None, "evaluation": {"mAP": 0.5, "rank1": True}},
    ]
    found = curves(records)
    assert found["losses"] == [{"name": "identity", "points": [[0, 2.0]]}]
    assert found["learning_rate"] == [{"name": "learning rate", "points": [[0, 0.1]]}]
    assert found["figures"] == [{"name": "mAP", "points": [[1, 0.5]]}]
    assert curves([{"epoch": 10**400, "losses": {"identity": -math.inf}}])["losses"] == []
    assert curves([{"epoch": 0, "losses": {"identity": 10**400}}])["losses"] == []
    assert curves([]) is None
    assert curves(None) is None
    long = curves([{"epoch": n, "losses": {"identity": 1.0}} for n in range(12_345)])["losses"][0]["points"]
    assert len(long) <= 1_001
    assert long[-1][0] == 12_344


def test_curves_show_every_loss_term_of_a_run():
    """The terms are invented, and one begins in a later epoch; the total and the share of correct anchors are no terms."""
    found = curves(
        [
            {
                "epoch": 0,
                "losses": {"zebra_stage9": 2.0, "total": 5.0, "aardvark": 3.0, "note": "text", "correct": 0.5},
            },
            {"epoch": 1, "losses": {"latecomer": 1.0, "aardvark": 2.0, "zebra_stage9": 1.0}},
        ]
    )
    assert found["losses"] == [
        {"name": "zebra stage9", "points": [[0, 2.0], [1, 1.0]]},
        {"name": "aardvark", "points": [[0, 3.0], [1, 2.0]]},
        {"name": "latecomer", "points": [[1, 1.0]]},
    ]


def test_correspondences_agree_with_numpy(data, findings, source):
    """NumPy computes the matching probability, the masks and the co-attention of a person from the features."""
    network = findings.subject.network
    person = data["people"][0]
    by_path = {sample.path: index for index, sample in enumerate(source.samples)}
    index = {side: by_path[data["images"][person["images"][side]]["path"]] for side in ("infrared", "visible", "other")}
    for name, stage in person["stages"].items():
        features = {}
        for side, place in index.items():
            maps = getattr(image_maps(network, source.read([place])[0], source.samples[place].modality), name)
            features[side] = maps[0].flatten(1).T.double().numpy()  # (HW, C)
        there = probability(features["infrared"], features["visible"])
        back = probability(features["visible"], features["infrared"])
        for side, wanted in (("same", there), ("other", probability(features["infrared"], features["other"]))):
            shares = bytes_of(stage[side]["relative"]).reshape(wanted.shape) / 255
            np.testing.assert_allclose(shares * np.array(stage[side]["peak"])[:, None], wanted, atol=4e-3)
        own, others = (spread_out(np.linalg.norm(features[side], axis=1)) for side in ("infrared", "visible"))
        for packed, wanted in zip(stage["masks"], (own, others), strict=True):
            np.testing.assert_allclose(bytes_of(packed) / 255, wanted, atol=4e-3)
        attention = spread_out(own * (there @ others)), spread_out(others * (back @ own))
        for packed, wanted in zip(stage["attention"], attention, strict=True):
            np.testing.assert_allclose(bytes_of(packed) / 255, wanted, atol=4e-3)


def probability(query, key):
    cosine = query @ key.T / (np.linalg.norm(query, axis=1)[:, None] * np.linalg.norm(key, axis=1)[None])
    weights = np.exp(50 * (cosine - cosine.max(axis=1, keepdims=True)))
    return weights / weights.sum(axis=1, keepdims=True)


def spread_out(values):
    return (values - values.min()) / (values.max() - values.min())


def test_the_cmc_of_every_setting_is_the_mean_and_spread_over_its_draws(data, findings):
    assert len(data["cmc"]) == len(findings.results)
    for shown, result in zip(data["cmc"], findings.results, strict=True):
        rates = np.array([draw.cmc for draw in result.trials])
        np.testing.assert_allclose(shown["mean"], rates.mean(axis=0), atol=1e-5)
        np.testing.assert_allclose(shown["std"], rates.std(axis=0), atol=1e-5)
        assert shown["draws"] == len(rates) == 10
    assert data["summary"]["cmc_counts"] == "identities"


def test_a_report_of_people_with_a_truth_shows_it(subject, true_people):
    people = FolderImages(read_sysu(true_people), *subject.network.image_size)
    data = assemble(analyse(subject, people, FEW, 0, Silent()), FEW, FEW, Silent())
    assert data["correspondences"]["columns"][:3] == ["stage", "prediction", "PCK 5%"]
    assert len(data["correspondences"]["rows"]) == 2 * 3 + 3
    for stage in data["people"][0]["stages"].values():
        rows, columns = stage["grid"]
        assert len(stage["true"]) == rows * columns
        assert any(position is None for position in stage["true"]), "some positions show the background"
        assert any(position is not None for position in stage["true"])


def test_a_report_without_a_truth_does_not_mention_it(data):
    assert data["correspondences"] is None
    assert "true" not in data["people"][0]["stages"]["layer3"]
