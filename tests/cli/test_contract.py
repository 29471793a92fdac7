"""The contract: the four command lines verbatim and in order, the Python names, and the help of every command."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
import yaml
from small_setup import SMALL

LINES = (
    "lba prepare sysu",
    "lba train --method full",
    "lba evaluate --mode all-search",
    "lba visualize correspondences",
)


@pytest.fixture
def place_of_the_data(tiny, tmp_path):
    """A folder that holds a data set at the default place, where the lines are typed."""
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "SYSU-MM01").symlink_to(tiny)
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(dict(SMALL.items())))
    return tmp_path


def require_results(folder, outputs):
    assert (folder / "datasets" / "SYSU-MM01-64x32" / "manifest.json").is_file()
    (run,) = (folder / "runs").iterdir()
    assert {p.name for p in run.iterdir()} == {"config.yaml", "metrics.jsonl", "timings.jsonl", "checkpoints"}
    assert {p.name for p in (run / "checkpoints").iterdir()} == {"last.pt", "previous.pt", "best.pt"}
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 2
    assert f"{run.relative_to(folder)}/checkpoints/last.pt, of the newest run" in outputs[2]
    assert "rank1" in outputs[2]
    assert (folder / "figures" / "correspondences.png").is_file()


def test_the_four_command_lines_work_in_order(lba, place_of_the_data, monkeypatch):
    monkeypatch.setenv("LBA_CONFIG", "small.yaml")
    require_results(place_of_the_data, [lba(*line.split()[1:]).output for line in LINES])


@pytest.mark.slow
def test_the_four_command_lines_work_as_programs(place_of_the_data):
    environment = {**os.environ, "LBA_CONFIG": "small.yaml", "COLUMNS": "120"}
    outputs = []
    for line in LINES:
        command = [sys.executable, "-m", "lba_cli", *line.split()[1:]]
        done = subprocess.run(
            command, cwd=place_of_the_data, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        outputs.append(done.stdout + done.stderr)
    require_results(place_of_the_data, outputs)


def test_the_python_names_can_be_imported_and_are_documented():
    from lba_cli.alignment import Pairs, align, co_attention, matching_probability, person_mask, sample_pairs, warp
    from lba_cli.evaluation import Metrics, community_gallery, load_permutations, official_gallery, rank_metrics
    from lba_cli.model import TwoStreamNetwork, generalized_mean_pool, load_network
    from lba_cli.training import Objective, hard_triplet, parameter_groups

    functions = (
        *(align, co_attention, matching_probability, person_mask, sample_pairs, warp, community_gallery),
        *(load_permutations, official_gallery, rank_metrics, generalized_mean_pool, load_network, hard_triplet),
        *(parameter_groups, Objective, TwoStreamNetwork, Metrics, Pairs),
    )
    assert all(function.__doc__ for function in functions)


PICTURES = ("correspondences", "ranking", "masks", "curves", "report")
ORDER = ("prepare", "train", "evaluate", "export", "visualize", "embed", "search", "demo", "doctor")
COMMANDS = (
    "prepare sysu",
    "prepare regdb",
    "prepare llcm",
    "prepare folder",
    "prepare synthetic",
    "train",
    "evaluate",
    "export",
    "embed",
    *(f"search {command}" for command in ("build", "query", "add", "remove", "info")),
    "demo",
    "doctor",
    *(f"visualize {p}" for p in PICTURES),
)


def test_the_list_of_commands_repeats_the_first_line_of_each_help(lba):
    from lba_cli.cli.app import COMMANDS as SUMMARIES

    listed = " ".join(re.sub("[│╭╮╰╯─]", "", lba("--help").output).split())
    assert list(SUMMARIES) == list(ORDER)
    for name, summary in SUMMARIES.items():
        assert summary in listed
        assert summary in " ".join(lba(name, "--help").output.split())
    assert "Under torchrun every process draws" in lba("train", "--help").output


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples(lba, command):
    result = lba(*command.split(), "--help")
    assert "Examples" in result.output
    assert f"lba {command}" in result.output
    for option in ("--config", "--set", "--debug"):
        assert option in result.output


def test_the_version_is_shown(lba):
    assert lba("--version").output.startswith("lba ")


def test_an_evaluation_is_written_as_json(lba, tmp_path, network_file, store):
    lba("evaluate", "--checkpoint", network_file, "--mode", "all", "--shots", "both", "--json", tmp_path / "f.json")
    results = json.loads((tmp_path / "f.json").read_text())["results"]
    settings = [(r["mode"], r["shots"], r["protocol"]) for r in results]
    assert settings == [(m, s, "community") for m in ("all-search", "indoor-search") for s in ("single", "multi")]
    assert {"dataset", "trials", "mean", "std", "num_query", "num_gallery"} <= results[0].keys()
    assert results[0]["dataset"] == "synthetic-tiny"


def test_the_latest_run_can_be_resumed(lba, store, small_yaml, tmp_path):
    lba("train", "--config", small_yaml, "--data", store, "--set", "train.epochs=1")
    result = lba("train", "--resume", "latest", "--set", "train.epochs=2")
    assert "resuming runs/" in result.output
    (run,) = (tmp_path / "runs").iterdir()
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 2


def test_a_network_is_exported_and_drawn(lba, network_file, tmp_path):
    result = lba("export", "--checkpoint", network_file, "--format", "safetensors", "--output", "x.safetensors")
    assert "equals the trained network within" in result.output
    for picture in ("correspondences", "ranking", "masks"):
        lba("visualize", picture, "--checkpoint", network_file)
        assert (tmp_path / "figures" / f"{picture}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_curves_are_drawn_of_the_newest_run(lba, store, small_yaml, tmp_path):
    lba("train", "--config", small_yaml, "--data", store)
    lba("visualize", "curves", "--output", "c.pdf")
    assert (tmp_path / "c.pdf").read_bytes().startswith(b"%PDF")


def test_prepare_reports_what_a_copy_lacks(lba, tiny, tmp_path):
    shutil.copytree(tiny, tmp_path / "real")
    (tmp_path / "real" / "synthetic.json").unlink()
    result = lba("prepare", "sysu", "--root", "real", "--set", "data.height=32", "--set", "data.width=16")
    assert "differ from the complete SYSU-MM01" in " ".join(result.output.split())
    row = next(line for line in result.output.splitlines() if line.startswith("│ 6 "))
    assert [cell.strip() for cell in row.split("│")[1:5]] == ["6", "60", "5,920", "-5,860"]
    assert (tmp_path / "real-32x16" / "images.npy").is_file()
