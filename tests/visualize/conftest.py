"""A small report in parts (its subject, findings and data), and a report opened in a browser."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from browser import Page, browser_program
from report_pages import FEW, data_of

from lba_cli.config import ConfigLayer, resolve_config
from lba_cli.evaluation.result import ScoredModel
from lba_cli.model.checkpoint import read_checkpoint, rebuild_network
from lba_cli.reporting import Silent
from lba_cli.visualize.report import Bounds, Subject, embedding_map, write_report
from lba_cli.visualize.report.collect import analyse, assemble
from lba_cli.visualize.report.comparison import compare
from lba_cli.visualize.report.page import render


@pytest.fixture(scope="module")
def subject(network_file, source):
    checkpoint = read_checkpoint(network_file)
    config = resolve_config([ConfigLayer(checkpoint.description.config, "the test")])
    return Subject(
        rebuild_network(checkpoint), checkpoint.description, ScoredModel(str(network_file), source.name), config
    )


@pytest.fixture(scope="module")
def findings(subject, source):
    return analyse(subject, source, FEW, 0, Silent())


@pytest.fixture(scope="module")
def data(findings):
    return assemble(findings, FEW, FEW, Silent())


@pytest.fixture(scope="module")
def first(findings):
    """The comparison of the first draw."""
    return compare(findings.source, findings.drawn[0].draws[0], findings.embeddings)


@pytest.fixture(scope="session")
def axe(tmp_path_factory):
    """The source of axe-core: the file that LBA_AXE names, or the package from the npm registry."""
    named = os.environ.get("LBA_AXE")
    if named:
        return Path(named).read_text(encoding="utf-8")
    if not shutil.which("npm"):
        pytest.skip("no npm for axe-core (LBA_AXE names its axe.min.js)")
    folder = tmp_path_factory.mktemp("axe")
    words = ["npm", "install", "--no-save", "--ignore-scripts", "--prefix", str(folder), "axe-core@4"]
    try:
        subprocess.run(words, capture_output=True, check=True, timeout=120)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        pytest.skip("axe-core can't be installed from the npm registry")
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def report(tmp_path_factory, network_file, source):
    """A report on an untrained network, with the curves of an invented run and a stand-in for t-SNE."""
    checkpoint = read_checkpoint(network_file)
    evaluation = {"mode": "all", "shots": "both", "flip": True}
    config = resolve_config([ConfigLayer({**checkpoint.description.config, "evaluation": evaluation}, "the test")])
    losses = {"identity": 2.0, "hard_triplet": 1.0, "dense_triplet": 0.5}
    figures = {"rank1": 0.2, "mAP": 0.1, "mINP": 0.05}
    records = [{"epoch": n, "learning_rate": 0.1, "losses": losses, "evaluation": figures} for n in range(3)]
    model = ScoredModel("<b>run</b>/checkpoints/last.pt", source.name)
    subject = Subject(rebuild_network(checkpoint), checkpoint.description, model, config, records)
    path = tmp_path_factory.mktemp("report") / "report of <b>&amp;.html"
    bounds = Bounds(queries=30, top=5, people=3, points=60)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedding_map, "find_spec", lambda name: True)
        patch.setattr(embedding_map, "stochastic_neighbours", lambda vectors, seed: vectors[:, :2].astype(float))
        write_report(path, subject, source, listener=Silent(), bounds=bounds)
    return path


@pytest.fixture(scope="session")
def changed(report):
    """A copy of the report whose data a function has changed: ``changed(lambda data: data.update(cmc=[]))``."""

    def make(change):
        data = data_of(report.read_text())
        change(data)
        path = report.with_name("changed.html")
        path.write_text(render(data))
        return path

    return make


@pytest.fixture
def page(report, tmp_path):
    """The report, open. Afterwards the console must be empty, and nothing but the file and its images was requested."""
    with Page(browser_program(), tmp_path / "profile") as page:
        page.open(report)
        yield page
        assert page.console == []
        outside = [url for url in page.requests if not url.startswith("data:")]
        assert outside == [report.as_uri()[:120]]
