"""The data of a report against slow and obvious counts, and the page it becomes."""

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from cases import HEIGHT, WIDTH
from made import MadeImages, OppositeStems, tree

from lba_cli.errors import DataError, LbaError
from lba_cli.evaluation.features import embed_samples
from lba_cli.evaluation.protocols import Setting
from lba_cli.evaluation.report import Origin
from lba_cli.evaluation.run import draw_trials, excluded
from lba_cli.model.checkpoint import read_checkpoint, rebuild
from lba_cli.model.network import StageMaps
from lba_cli.reporting import Silent
from lba_cli.visualize.report import Bounds, Subject, write_report
from lba_cli.visualize.report import space as space_module
from lba_cli.visualize.report.album import Album
from lba_cli.visualize.report.collect import ask, assemble
from lba_cli.visualize.report.lists import choose_queries, ranked_lists
from lba_cli.visualize.report.matching import quantised_rows
from lba_cli.visualize.report.page import embedded, render
from lba_cli.visualize.report.pairs import confusions, distances, worst_pairs
from lba_cli.visualize.report.progress import curves
from lba_cli.visualize.report.space import embedding_map, principal_components

SETTING = Setting("all-search", "single", "community")
FEW = Bounds(queries=6, top=4, people=2, points=9)


@pytest.fixture(scope="module")
def subject(network_file, source):
    from lba_cli.settings import Layer, resolve

    checkpoint = read_checkpoint(network_file)
    run = resolve([Layer(checkpoint.description.config, "the test")])
    return Subject(rebuild(checkpoint), checkpoint.description, Origin(str(network_file), source.name), run)


@pytest.fixture(scope="module")
def findings(subject, source):
    return ask(subject, source, FEW, 0, Silent())


@pytest.fixture(scope="module")
def data(findings):
    return assemble(findings, FEW, FEW, Silent())


@pytest.fixture(scope="module")
def first(findings):
    """The first trial, its scores, and which pairs are ignored."""
    trial = findings.drawn[0].each[0]
    scores = findings.embeddings.of(trial.queries) @ findings.embeddings.of(trial.gallery).T
    return trial, scores, excluded(findings.source, trial.queries, trial.gallery)


def data_of(text):
    """The data within a page, read as a browser does."""
    (content,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, flags=re.DOTALL)
    return json.loads(content)


def bytes_of(text):
    return np.frombuffer(base64.b64decode(text), np.uint8)


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
    trial = draw_trials(source, SETTING).each[0]
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


def test_principal_components_are_those_of_the_singular_values():
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
def test_the_map_has_t_sne_where_its_library_is(findings, source, monkeypatch, installed):
    monkeypatch.setattr(space_module, "find_spec", lambda name: installed or None)
    monkeypatch.setattr(space_module, "stochastic_neighbours", lambda vectors, seed: vectors[:, :2].astype(float))
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


def test_t_sne_keeps_groups_together():
    pytest.importorskip("sklearn")
    random = np.random.default_rng(0)
    centres = random.normal(size=(3, 16)) * 20
    vectors = np.concatenate([centre + random.normal(size=(12, 16)) for centre in centres]).astype(np.float32)
    places = space_module.stochastic_neighbours(vectors, 0)
    nearest = np.linalg.norm(places[:, None] - places[None], axis=2) + np.eye(36) * 1e9
    assert (nearest.argmin(1) // 12 == np.arange(36) // 12).all()


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
    assert curves([]) is None
    assert curves(None) is None
    long = curves([{"epoch": n, "losses": {"identity": 1.0}} for n in range(12_345)])["losses"][0]["points"]
    assert len(long) <= 1_001
    assert long[-1][0] == 12_344


class Inspector(HTMLParser):
    def __init__(self):
        super().__init__()
        self.addresses, self.scripts = [], 0

    def handle_starttag(self, tag, attrs):
        self.scripts += tag == "script"
        self.addresses += [value for name, value in attrs if name in ("src", "href", "action", "data", "srcset")]


def test_the_page_is_self_contained(data):
    text = render(data)
    seen = Inspector()
    seen.feed(text)
    assert seen.scripts == 2
    assert all(address.startswith(("data:", "#")) for address in seen.addresses)
    page = text.replace("http://www.w3.org/2000/svg", "")
    assert "http://" not in page
    assert "https://" not in page
    assert "url(" not in page
    assert data_of(text) == json.loads(json.dumps(data))


def test_the_policy_lets_the_pages_own_script_alone_run(data):
    text = render(data)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    for element, directive in (("script", "script-src"), ("style", "style-src")):
        (content,) = re.findall(f"<{element}>(.*?)</{element}>", text, flags=re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_a_strangers_file_name_stays_text(data):
    evil = "</script><script>alert(1)</script><!--\u2028$title&amp;.jpg"
    images = [{**data["images"][0], "path": evil}, *data["images"][1:]]
    summary = {**data["summary"], "model": f"<img src=x onerror=alert(1)>{evil}"}
    text = render({**data, "images": images, "summary": summary})
    seen = Inspector()
    seen.feed(text)
    assert seen.scripts == 2
    assert "<img" not in text
    assert data_of(text)["images"][0]["path"] == evil
    assert "<" not in embedded({"x": evil})


def test_the_report_says_what_is_synthetic_and_what_lacks(data, subject, findings):
    assert data["summary"]["synthetic"]
    assert not data["summary"]["has_run"]
    assert data["curves"] is None
    assert data["summary"]["dataset"] == "synthetic-tiny"
    assert dict(map(tuple, data["summary"]["settings"]))["data.height"] == str(HEIGHT)
    assert [name for name, _, _ in data["summary"]["figures"][0]["figures"]][:1] == ["rank1"]


def test_too_large_a_report_shows_less_and_says_so(subject, source, tmp_path):
    whole = write_report(tmp_path / "a.html", subject, source, listener=Silent(), bounds=FEW)
    assert whole == (tmp_path / "a.html").stat().st_size
    assert data_of((tmp_path / "a.html").read_text())["summary"]["asked"] is None
    warned = []
    listener = SimpleNamespace(task=Silent().task, say=warned.append, warn=warned.append)
    size = write_report(tmp_path / "b.html", subject, source, listener=listener, bounds=FEW, most_bytes=whole - 1)
    shown = data_of((tmp_path / "b.html").read_text())
    assert size < whole
    assert shown["summary"]["asked"]["queries"] == 6
    assert len(shown["lists"]["lists"]) == shown["summary"]["bounds"]["queries"] == 3
    assert "it shows less" in warned[-1]
    with pytest.raises(LbaError, match="even the smallest"):
        write_report(tmp_path / "c.html", subject, source, listener=Silent(), bounds=FEW, most_bytes=1000)
    assert not (tmp_path / "c.html").exists()


def test_a_report_is_refused_before_the_work(lba, tmp_path):
    """No checkpoint is there: the path is complained of first."""
    (tmp_path / "x.html").write_text("mine")
    assert "--force" in lba("visualize", "report", "--output", "x.html", status=2).output
    assert (tmp_path / "x.html").read_text() == "mine"
    assert ".html" in lba("visualize", "report", "--output", "x.pdf", status=2).output
    (tmp_path / "file").write_text("")
    assert "not a folder" in lba("visualize", "report", "--output", "file/x.html", status=2).output


FEWER = ("--queries", 3, "--people", 2, "--points", 9)


@pytest.mark.parametrize("dataset", ["sysu", "regdb", "llcm", "folder"])
def test_reports_of_every_data_set(lba, network_file, trees, dataset, tmp_path):
    split = ("--set", "data.trial=2") if dataset == "regdb" else ()
    words = ("--checkpoint", network_file, "--data", trees[dataset], "--mode", "all", *split, *FEWER)
    result = lba("visualize", "report", *words)
    assert "figures/report.html is made" in result.output
    found = data_of((tmp_path / "figures" / "report.html").read_text())
    assert len(found["cmc"]) == 2
    assert len(found["cmc"][0]["mean"]) == 20
    assert found["summary"]["dataset"] == "synthetic-tiny"
    assert len(found["lists"]["lists"]) == 3


def test_the_report_of_a_run_has_its_curves(lba, store, small_yaml, tmp_path):
    lba("train", "--config", small_yaml, "--data", store, "--output", "run")
    lba("visualize", "report", "--checkpoint", "run", "--output", "r.html", *FEWER)
    found = data_of((tmp_path / "r.html").read_text())
    assert found["summary"]["has_run"]
    assert found["summary"]["model"] == "run"
    assert [point[0] for point in found["curves"]["losses"][0]["points"]] == [0, 1]
    assert {line["name"] for line in found["curves"]["figures"]} == {"rank-1", "mAP", "mINP"}


class NoisyImages(MadeImages):
    """Images that JPEG can't make small, at the recipe's size."""

    height, width = 288, 144

    def read(self, indices):
        return np.stack([np.random.default_rng(i).integers(0, 256, (288, 144, 3), np.uint8) for i in indices])


class Stub(OppositeStems):
    """Embeddings by the image's own noise, and maps of the recipe's size."""

    embedding_size = 8

    def pooled(self, images, modality):
        return images[:, 0, :8, 0] * self.weight

    def maps(self, images, modality):
        maps = torch.nn.functional.adaptive_avg_pool2d(images, (18, 9))
        return StageMaps(maps, maps)


@pytest.mark.slow
def test_a_report_of_sysus_size_stays_below_20_megabytes(subject, tmp_path):
    source = NoisyImages(tree("sysu", identities=range(1, 97), images=20), "sysu", name="made-sysu")
    noisy = replace(subject, network=Stub())
    size = write_report(tmp_path / "r.html", noisy, source, listener=Silent())
    assert size == (tmp_path / "r.html").stat().st_size
    assert 5_000_000 < size < 20_000_000
    shown = data_of((tmp_path / "r.html").read_text())["summary"]
    assert shown["asked"]["queries"] == 120
    assert 0 < shown["bounds"]["queries"] < 120
