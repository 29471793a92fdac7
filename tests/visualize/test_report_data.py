"""The data of a report against slow and obvious counts."""

import math

import numpy as np
import pytest
from fake_dataset import MadeImages, OppositeStems, tree
from report_pages import SETTING, bytes_of
from small_setup import HEIGHT, WIDTH

from lba_cli.errors import DataError
from lba_cli.evaluation.embedding import embed_samples
from lba_cli.evaluation.evaluate import draw_setting, excluded
from lba_cli.reporting import Silent
from lba_cli.visualize.people import maps_of
from lba_cli.visualize.report.album import Album
from lba_cli.visualize.report.confusions import confusions, distances, worst_pairs
from lba_cli.visualize.report.matching import quantised_rows
from lba_cli.visualize.report.ranked_lists import choose_queries, ranked_lists
from lba_cli.visualize.report.run_curves import curves


def test_lists_are_ranked_by_the_scores_and_leave_out_what_is_ignored(data, source, first):
    trial, scores, ignored = first
    images = data["images"]
    by_path = {sample.path: index for index, sample in enumerate(source.samples)}
    assert len(data["lists"]["lists"]) == 6
    for shown in data["lists"]["lists"]:
        row = trial.queries.index(by_path[images[shown["image"]]["path"]])
        allowed = [place for place in range(len(trial.gallery)) if not ignored[row, place]]
        wanted = sorted(allowed, key=lambda place, row=row: (-scores[row, place], place))[:4]
        assert [by_path[images[place]["path"]] for place, _, _ in shown["found"]] == [trial.gallery[w] for w in wanted]
        query = source.samples[trial.queries[row]].identity
        rights = [source.samples[trial.gallery[place]].identity == query for place in wanted]
        assert [right for _, _, right in shown["found"]] == rights
        possible = sum(source.samples[trial.gallery[place]].identity == query for place in allowed)
        assert shown["possible"] == min(4, possible)
        kind = "wrong" if not any(rights) else "right" if all(rights[: min(4, possible)]) else "mixed"
        assert shown["outcome"] == kind


def test_average_precision_of_all_lists_is_the_map(findings, first, source):
    album = Album(source)
    everything = ranked_lists(source, first[0], findings.embeddings, album, queries=10_000, top=1, seed=0)
    mean = np.mean([shown["precision"] for shown in everything["lists"]])
    assert mean == pytest.approx(findings.results[0].trials[0].mAP, abs=1e-4)
    assert everything["counted"] == findings.results[0].trials[0].num_queries


def test_all_right_and_all_wrong():
    """A network that knows everybody, and queries that have no match."""
    source = MadeImages(tree("sysu", identities=range(1, 5)), "sysu")
    trial = draw_setting(source, SETTING).each[0]
    embeddings = embed_samples(OppositeStems(), source, {*trial.queries, *trial.gallery}, listener=Silent(), workers=0)
    shown = ranked_lists(source, trial, embeddings, Album(source), queries=99, top=10, seed=0)
    assert {each["outcome"] for each in shown["lists"]} == {"right"}
    assert not worst_pairs(confusions(source, [trial], embeddings), Album(source))
    stranger = trial._replace(gallery=[i for i in trial.gallery if source.samples[i].identity > 1])
    known = ranked_lists(source, stranger, embeddings, Album(source), queries=99, top=10, seed=0)
    assert known["counted"] == len(known["lists"]) == known["all"] * 3 // 4
    nobody = trial._replace(
        queries=[i for i in trial.queries if source.samples[i].identity == 1], gallery=stranger.gallery
    )
    with pytest.raises(DataError, match="no query has a true match"):
        ranked_lists(source, nobody, embeddings, Album(source), queries=99, top=10, seed=0)


def test_half_of_the_queries_are_the_hardest():
    precision = np.array([0.9, np.nan, 0.1, 0.5, 0.3, 0.8, 0.7, 0.2])
    chosen = choose_queries(precision, 4, seed=0)
    assert len(set(chosen)) == 4
    assert {2, 7} <= set(chosen)
    assert 1 not in chosen
    assert choose_queries(precision, 4, seed=0) == chosen
    assert choose_queries(precision, 20, seed=0) == [0, 2, 3, 4, 5, 6, 7]
    assert choose_queries(precision, 1, seed=0) == [2]


def test_confusions_are_counted_as_by_a_loop(findings, source):
    counted = {}
    for trial in findings.drawn[0].each:
        scores = findings.embeddings.of(trial.queries) @ findings.embeddings.of(trial.gallery).T
        ignored = excluded(source, trial.queries, trial.gallery)
        for row, query in enumerate(trial.queries):
            there = [place for place in range(len(trial.gallery)) if not ignored[row, place]]
            who = [source.samples[trial.gallery[place]].identity for place in there]
            me = source.samples[query].identity
            if me not in who:
                continue
            best = max(there, key=lambda place, row=row, scores=scores: (scores[row, place], -place))
            found = source.samples[trial.gallery[best]].identity
            if found != me:
                pair = tuple(sorted((me, found)))
                counted[pair] = counted.get(pair, 0) + 1
    assert {pair: each.times for pair, each in findings.confused.items()} == counted
    worst = worst_pairs(dict(findings.confused), Album(source))
    assert len(worst) == min(10, len(counted))
    assert [pair["times"] for pair in worst] == sorted(counted.values(), reverse=True)[:10]
    assert all(pair["scores"][0] >= pair["scores"][1] for pair in worst)


def test_distances_are_those_of_the_first_trial(findings, source, first):
    trial, scores, ignored = first
    found = distances(source, trial, findings.embeddings)
    pairs = {True: [], False: []}
    for row, query in enumerate(trial.queries):
        for place, image in enumerate(trial.gallery):
            if not ignored[row, place]:
                same = source.samples[query].identity == source.samples[image].identity
                pairs[same].append(1 - scores[row, place])
    assert found["counts"] == [len(pairs[True]), len(pairs[False])]
    np.testing.assert_allclose(found["means"], [np.mean(pairs[True]), np.mean(pairs[False])], rtol=1e-4)
    assert sum(found["same"]) == pytest.approx(1, abs=1e-3)
    assert sum(found["other"]) == pytest.approx(1, abs=1e-3)
    assert found["closer"] == pytest.approx(np.mean(np.array(pairs[False]) < np.median(pairs[True])))


def test_probabilities_are_quantised_by_rows():
    probability = np.random.default_rng(0).dirichlet(np.ones(12) * 0.3, size=8).astype(np.float32)
    packed = quantised_rows(probability)
    back = bytes_of(packed["of_peak"]).reshape(8, 12) / 255 * np.array(packed["peak"])[:, None]
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
            assert len(bytes_of(stage["same"]["of_peak"])) == len(bytes_of(stage["other"]["of_peak"])) == size**2
            assert {len(bytes_of(m)) for m in stage["masks"] + stage["attention"]} == {size}
            assert len(stage["same"]["peak"]) == size


def test_each_image_is_embedded_once(data):
    paths = [image["path"] for image in data["images"]]
    assert len(paths) == len(set(paths))
    assert all(image["src"].startswith("data:image/jpeg;base64,") for image in data["images"])


def test_curves_hold_what_is_a_number():
    records = [
        {"epoch": 0, "learning_rate": 0.1, "losses": {"identity": 2.0, "dense_triplet": float("nan")}},
        {"epoch": 1, "learning_rate": "?", "losses": None, "evaluation": {"mAP": 0.5, "rank1": True}},
    ]
    found = curves(records)
    assert found["losses"] == [{"name": "identity", "points": [[0, 2.0]]}]
    assert found["rate"] == [{"name": "learning rate", "points": [[0, 0.1]]}]
    assert found["figures"] == [{"name": "mAP", "points": [[1, 0.5]]}]
    assert curves([{"epoch": 10**400, "losses": {"identity": -math.inf}}])["losses"] == []
    assert curves([{"epoch": 0, "losses": {"identity": 10**400}}])["losses"] == []
    assert curves([]) is None
    assert curves(None) is None
    long = curves([{"epoch": n, "losses": {"identity": 1.0}} for n in range(12_345)])["losses"][0]["points"]
    assert len(long) <= 1_001
    assert long[-1][0] == 12_344


def test_correspondences_are_those_of_the_features(data, findings, source):
    """Matching probability, masks and co-attention of a person, from the features by NumPy alone."""
    network = findings.subject.network
    person = data["people"][0]
    by_path = {sample.path: index for index, sample in enumerate(source.samples)}
    index = {side: by_path[data["images"][person["images"][side]]["path"]] for side in ("infrared", "visible", "other")}
    for name, stage in person["stages"].items():
        features = {}
        for side, place in index.items():
            maps = getattr(maps_of(network, source.read([place])[0], source.samples[place].modality), name)
            features[side] = maps[0].flatten(1).T.double().numpy()  # (HW, C)
        there = probability(features["infrared"], features["visible"])
        back = probability(features["visible"], features["infrared"])
        for side, wanted in (("same", there), ("other", probability(features["infrared"], features["other"]))):
            shares = bytes_of(stage[side]["of_peak"]).reshape(wanted.shape) / 255
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


def test_the_cmc_of_every_setting_is_the_mean_and_spread_of_its_trials(data, findings):
    assert len(data["cmc"]) == len(findings.results)
    for shown, result in zip(data["cmc"], findings.results, strict=True):
        rates = np.array([trial.cmc for trial in result.trials])
        np.testing.assert_allclose(shown["mean"], rates.mean(axis=0), atol=1e-5)
        np.testing.assert_allclose(shown["std"], rates.std(axis=0), atol=1e-5)
        assert shown["trials"] == len(rates) == 10
    assert data["summary"]["cmc_counts"] == "identities"
