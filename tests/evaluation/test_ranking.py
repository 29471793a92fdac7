"""Ranking against plain loops, on random and on awkward cases."""

import doctest

import numpy as np
import pytest
import torch
from oracles.ranking import rank

from lba_cli.evaluation import rank_metrics, ranking
from lba_cli.evaluation.labels import encode_labels, ignored_by
from lba_cli.evaluation.ranking import average_precisions, rank_metrics_blockwise
from lba_cli.match_rules import MATCH_RULES, MatchRules


def random_case(seed, queries=25, gallery=40, identities=9, levels=None):
    random = np.random.default_rng(seed)
    distance = random.random((queries, gallery))
    if levels:
        distance = np.floor(distance * levels) / levels
    ids = [random.integers(identities, size=n) for n in (queries, gallery)]
    cameras = [random.choice([3, 6], queries), random.choice([1, 2, 3, 4, 5], gallery)]
    return distance, *ids, *cameras


@pytest.mark.parametrize("levels", [None, 4])
@pytest.mark.parametrize("protocol", ["sysu", "regdb", "llcm", "plain"])
@pytest.mark.parametrize("seed", range(5))
def test_equals_plain_loops(protocol, seed, levels):
    case = random_case(seed, levels=levels)
    cmc, mean_precision, mean_penalty, counted = rank(*case, protocol)
    found = rank_metrics(*case, protocol=protocol)
    np.testing.assert_allclose(found.cmc, cmc, atol=1e-12)
    assert found.mAP == pytest.approx(mean_precision, abs=1e-12)
    assert found.mINP == pytest.approx(mean_penalty, abs=1e-12)
    assert found.num_queries == counted


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("protocol", ["sysu", "regdb", "llcm", "plain"])
@pytest.mark.parametrize("seed", range(3))
def test_neighbouring_numbers_are_told_apart_and_equal_ones_are_ties(seed, protocol, kind):
    """Distances are at most three steps of their dtype away from each other; in float64 float32 would make all of them equal."""
    steps, *columns = random_case(seed, queries=40)
    distance = np.full(steps.shape, 0.5, kind) + np.floor(steps * 4).astype(kind) * np.spacing(kind(0.5))
    assert len(np.unique(distance)) == 4
    cmc, mean_precision, mean_penalty, counted = rank(distance, *columns, protocol)
    found = rank_metrics(distance, *columns, protocol=protocol)
    np.testing.assert_allclose(found.cmc, cmc, atol=1e-12)
    assert found[1:] == pytest.approx((mean_precision, mean_penalty, counted), abs=1e-12)


def test_the_example_in_the_documentation():
    assert doctest.testmod(ranking) == (0, 4)


@pytest.mark.parametrize("name", ["sysu", "regdb", "llcm", "plain"])
def test_match_rules_rank_as_their_name(name):
    case = random_case(5)
    by_name, by_rules = (rank_metrics(*case, protocol=protocol) for protocol in (name, MATCH_RULES[name]))
    np.testing.assert_array_equal(by_name.cmc, by_rules.cmc)
    assert by_name[1:] == by_rules[1:]


@pytest.mark.parametrize("columns", [1, 2, 3, 7, 8, 9, 100])
def test_places_are_those_of_a_binary_search(columns):
    ascending = np.sort(np.random.default_rng(columns).integers(30, size=(6, columns)).astype(float), axis=1)
    row, column = np.divmod(np.arange(ascending.size), columns)
    wanted = [np.searchsorted(each, value) for each in ascending for value in each]
    np.testing.assert_array_equal(ranking._places(ascending, row, ascending[row, column]), wanted)


def test_match_rules_of_ones_own():
    rules = MatchRules(ignore_camera_pairs=((1, 4), (2, 5)), ignore_same_identity_and_camera=True)
    columns = [7, 7], [7, 7, 8, 8], [1, 2], [4, 2, 5, 1]
    wanted = [[True, False, False, False], [False, True, True, False]]
    np.testing.assert_array_equal(ignored_by(rules, *encode_labels(*columns)), wanted)
    found = rank_metrics([[0.1, 0.3, 0.2, 0.4], [0.3, 0.1, 0.2, 0.4]], *columns, protocol=rules)
    assert (found.cmc[:2].tolist(), found.num_queries) == ([0.5, 1], 2)


def test_chunks_change_nothing(monkeypatch):
    case = random_case(1)
    whole = rank_metrics(*case)
    monkeypatch.setattr(ranking, "CHUNK_ELEMENTS", 80)
    pieces = rank_metrics(*case)
    np.testing.assert_array_equal(whole.cmc, pieces.cmc)
    assert (whole.mAP, whole.mINP, whole.num_queries) == (pieces.mAP, pieces.mINP, pieces.num_queries)


def test_a_gallery_of_fewer_identities_than_ranks():
    found = rank_metrics([[0.1, 0.2], [0.2, 0.1]], [1, 1], [1, 2], protocol="sysu", max_rank=20)
    assert len(found.cmc) == 20
    np.testing.assert_array_equal(found.cmc, [0.5] + [1.0] * 19)


def test_ties_are_broken_by_gallery_order():
    first = rank_metrics([[0.5, 0.5, 0.5]], [2], [1, 2, 2], protocol="regdb")
    assert first.cmc[0] == 0
    assert first.cmc[1] == 1
    assert first.mAP == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_cmc_counts_identities_once():
    """Three images of one wrong identity before the right one are one place, not three."""
    ids = ([7], [1, 1, 1, 7])
    distance = [[0.1, 0.2, 0.3, 0.4]]
    assert rank_metrics(distance, *ids, protocol="sysu").cmc[1] == 1
    assert rank_metrics(distance, *ids, protocol="regdb").cmc[1] == 0
    assert rank_metrics(distance, *ids, protocol="regdb").cmc[3] == 1


def test_camera_3_ignores_camera_2_and_such_queries_may_not_count():
    case = ([[0.1, 0.9], [0.1, 0.9]], [1, 1], [1, 2], [3, 6], [2, 1])
    found = rank_metrics(*case, protocol="sysu")
    assert found.num_queries == 1
    assert found.cmc[0] == 1


def test_what_cannot_be_ranked():
    with pytest.raises(ValueError, match="no query has a true match"):
        rank_metrics([[0.1]], [1], [2])
    with pytest.raises(ValueError, match="finite"):
        rank_metrics([[float("nan")]], [1], [1])
    with pytest.raises(ValueError, match="shape"):
        rank_metrics([[0.1, 0.2]], [1], [1])
    with pytest.raises(ValueError, match="cameras"):
        rank_metrics([[0.1]], [1], [1], [1, 2], [1])
    with pytest.raises(ValueError, match="or for neither"):
        rank_metrics([[0.1]], [1], [1], query_cameras=[3])
    with pytest.raises(ValueError, match="gallery identities"):
        rank_metrics([[0.1, 0.2]], [1], [[1], [2]])
    with pytest.raises(ValueError, match="real numbers"):
        rank_metrics([[1j]], [1], [1])
    with pytest.raises(ValueError, match="real numbers"):
        rank_metrics([["near"]], [1], [1])
    with pytest.raises(ValueError, match="sysu, regdb"):
        rank_metrics([[0.1]], [1], [1], protocol="sysy")


def test_average_precision_of_each_query():
    """Their mean is the mAP; who has no match is not a number."""
    random = np.random.default_rng(0)
    distance, gallery = random.random((9, 12)), random.integers(0, 4, 12)
    queries = np.array([0, 1, 2, 3, 99, 0, 1, 2, 3])
    each = average_precisions(distance, *encode_labels(queries, gallery, None, None), MATCH_RULES["regdb"])
    assert np.isnan(each[4])
    assert np.nanmean(each) == pytest.approx(rank_metrics(distance, queries, gallery, protocol="regdb").mAP)
    ranks = np.flatnonzero(gallery[np.argsort(distance[0])] == 0) + 1
    assert each[0] == pytest.approx(np.mean([(n + 1) / rank for n, rank in enumerate(ranks)]))


def test_distances_of_either_sign_and_zeros_of_either_sign_are_ordered():
    row = np.float32([[0.0, -0.0, -1.5, 3e38, -3e38, 1e-45, -1e-45, 0.0]])
    for target in range(row.shape[1]):
        found = rank_metrics(row, [1], np.arange(row.shape[1]) == target, protocol="regdb")
        order = np.argsort(row[0], kind="stable").tolist()
        assert found.mAP == 1 / (order.index(target) + 1)


def test_differences_that_float32_would_lose_are_kept():
    distance = [[1.0 + 1e-12, 1.0]]
    assert rank_metrics(distance, [1], [1, 2], protocol="regdb").mAP == 0.5
    assert rank_metrics(np.float32(distance), [1], [1, 2], protocol="regdb").mAP == 1


@pytest.mark.parametrize("kind", [np.int64, np.uint64, torch.int64, torch.uint64])
@pytest.mark.parametrize("scale", [2**24, 2**53, 2**60])
def test_integers_are_told_apart_however_large(scale, kind):
    values = [[scale + 1, scale]]
    distance = torch.tensor(values, dtype=kind) if isinstance(kind, torch.dtype) else np.array(values, kind)
    assert rank_metrics(distance, [1], [1, 2], protocol="regdb").mAP == 0.5
    assert rank_metrics(distance, [2], [1, 2], protocol="regdb").mAP == 1


def test_an_ignored_image_comes_behind_the_largest_distance():
    """Even where the dtype has no larger number."""
    case = np.array([[255, 255]], np.uint8), [1], [2, 1], [3], [2, 1]
    assert rank_metrics(*case, protocol="sysu").mAP == 1
    assert rank_metrics(*case[:3], protocol="sysu").mAP == 0.5


@pytest.mark.filterwarnings("error")
def test_differences_beyond_float32s_largest_number():
    assert rank_metrics([[1e300, 1e299]], [1], [1, 2], protocol="regdb").mAP == 0.5


def test_tensors_of_any_kind_on_the_cpu():
    ids = torch.tensor([1]), torch.tensor([1, 2])
    for distance in (torch.rand(1, 2).bfloat16(), torch.rand(1, 2).half(), torch.rand(1, 2, requires_grad=True)):
        found = rank_metrics(distance, *ids, protocol="regdb")
        assert found == rank_metrics(distance.tolist(), [1], [1, 2], protocol="regdb")._replace(cmc=found.cmc)


def test_what_comes_in_is_left_as_it_is():
    distance, *columns = random_case(4)
    for given in (np.float32(distance), distance, np.asfortranarray(np.float32(distance)), -np.float32(distance)[::-1]):
        before = given.copy()
        given.flags.writeable = False
        found = rank_metrics(given, *columns)
        np.testing.assert_array_equal(given, before)
        assert found[1:] == pytest.approx(rank_metrics(before.copy(order="C"), *columns)[1:], rel=1e-12)


@pytest.mark.parametrize(
    "names", [["anna", "bo", "c"], [2**62, 2**62 + 1, -(2**62)], [2**63 + 1, 2**63 + 2, 2**64 - 1]]
)
def test_identities_of_any_kind(names):
    random = np.random.default_rng(0)
    distance, codes = random.random((6, 9), np.float32), (random.integers(3, size=6), random.integers(3, size=9))
    named = rank_metrics(distance, *(np.asarray(names)[side] for side in codes), protocol="regdb")
    assert named[1:] == rank_metrics(distance, *codes, protocol="regdb")[1:]


def test_chunks_in_which_no_query_has_a_match(monkeypatch):
    monkeypatch.setattr(ranking, "CHUNK_ELEMENTS", 2)
    distance = np.float32([[0.1, 0.2], [0.2, 0.1], [0.3, 0.4]])
    found = rank_metrics(distance, [8, 1, 9], [1, 2], protocol="regdb")
    assert (found.num_queries, found.mAP) == (1, 0.5)
    assert rank_metrics([[0.7]], [1], [1], protocol="plain")[1:] == (1, 1, 1)


def test_blocks_of_some_queries_are_refused():
    for blocks in ([], [(slice(0, 1), [[0.1, 0.2]])], [(slice(0, 2), np.zeros((2, 2)))] * 2):
        with pytest.raises(ValueError, match="each of the 2 queries once"):
            rank_metrics_blockwise(blocks, *encode_labels([1, 2], [1, 2], None, None), MATCH_RULES["sysu"])


def test_blocks_of_queries_give_what_the_whole_gives():
    distance, *columns = random_case(2)
    blocks = [(slice(start, start + 10), distance[start : start + 10]) for start in (0, 10, 20)]
    whole = rank_metrics(distance, *columns)
    pieces = rank_metrics_blockwise(iter(blocks), *encode_labels(*columns), MATCH_RULES["sysu"])
    np.testing.assert_array_equal(whole.cmc, pieces.cmc)
    assert whole[1:] == pieces[1:]
