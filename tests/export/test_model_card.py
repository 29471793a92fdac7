"""Model cards: they say what is known and what isn't, and appear with the file or not at all."""

import hashlib
from dataclasses import replace

import pytest

from lba_cli.errors import ExportError
from lba_cli.export import ExportOptions, ExportResult, ExportScores, card_text, export
from lba_cli.export.embedding_model import FileContents
from lba_cli.export.model_card import ExportedFile
from lba_cli.model import load_network
from lba_cli.model.checkpoint import Description, read_checkpoint


@pytest.fixture(scope="module")
def trained(network_file):
    return load_network(network_file), read_checkpoint(network_file).description


def made(tmp_path, **changes):
    config = {"train": {"method": "full", "epochs": 81, "seed": 5}, "alignment": {"weighting": "batch_mean"}}
    figures = {"rank1": 0.5541, "mAP": 0.5414}
    described = Description("resnet50", 395, 288, 144, "SYSU-MM01", 80, figures, "all-search, single-shot", config)
    file = ExportedFile(tmp_path / "person.onnx", FileContents(), "ab12", 1234567)
    values = {"description": described, "embedding_size": 2048, "format": "onnx", "files": (file,), "deviation": 3e-6}
    return ExportResult(**{**values, **changes})


def test_a_card_says_where_the_network_comes_from(tmp_path):
    text = card_text(made(tmp_path))
    for words in (
        "data set: SYSU-MM01\n",
        "method: full",
        "weighting of the dense triplet, if the method has one: batch\\_mean",
        "backbone: resnet50",
        "288 × 144",
        "epochs: 81",
        "seed: 5",
        "started from: not known",
        "SYSU-MM01, all-search, single-shot, community protocol",
        "| trained | 55.41 | 54.14 |",
        "opset 18",
        "1,234,567 bytes, SHA-256 `ab12`",
        "3.0e-06",
        "float32 (N, 2048)",
        "can be compared with those of the trained network",
        "(0.485, 0.456, 0.406)",
        "MIT licence",
        "Intended use",
        "without the consent",
        "The exported file was not evaluated",
    ):
        assert words in text, words
    assert "synthetic" not in text.lower()


def test_unknown_facts_are_called_unknown(tmp_path):
    text = card_text(made(tmp_path, description=Description("resnet50", 395, 288, 144)))
    assert "data set: not known" in text
    assert "The network was not evaluated during training." in text
    assert "last epoch: not known" in text
    assert "- method: full or baseline (released layout)" in text
    assert text.count("not known: the file has no configuration") == 5


def test_a_card_says_that_people_are_synthetic(tmp_path):
    description = replace(made(tmp_path).description, dataset="synthetic-small")
    assert card_text(made(tmp_path, description=description)).count("ynthetic people") == 2


def test_the_scores_of_both_networks_are_in_the_card(tmp_path):
    scores = ExportScores("SYSU-MM01, all-search", {"rank1": 0.5, "mAP": 0.4}, {"rank1": 0.4975, "mAP": 0.401})
    half = ExportedFile(tmp_path / "person.onnx", FileContents("float16"), "ab12", 1)
    text = card_text(made(tmp_path, scores=scores, files=(half,)))
    assert "| trained, float32 | 50.00 | 40.00 |" in text
    assert "| exported, float16 | 49.75 | 40.10 |" in text
    assert "rank-1 -0.25, mAP +0.10" in text
    assert "compare embeddings of float16 files only with each other" in text


def test_notes_on_figures_are_in_the_card(tmp_path):
    description = replace(made(tmp_path).description, figures_note="the one (a\n*b*)")
    scores = ExportScores("SYSU-MM01, all-search", {"rank1": 0.5}, {"rank1": 0.5}, "the other")
    text = card_text(made(tmp_path, description=description, scores=scores))
    assert "| 54.14 |\n\n**Note:** the one (a \\*b\\*).\n" in text
    assert "**Note:** the other.\n" in text


def test_markdown_in_a_name_is_escaped(tmp_path):
    description = replace(made(tmp_path).description, dataset="x\n# <b>[go](http://x)</b> |")
    text = card_text(made(tmp_path, description=description))
    assert "\n# <b>" not in text
    assert "[go]" not in text


def test_the_card_is_beside_the_file_and_has_its_checksum(trained, tmp_path):
    path = tmp_path / "person.safetensors"
    export(*trained, "safetensors", path, ExportOptions(card=True))
    card = (tmp_path / "person.safetensors.md").read_text()
    assert hashlib.sha256(path.read_bytes()).hexdigest() in card
    assert f"{path.stat().st_size:,} bytes" in card
    assert sorted(each.name for each in tmp_path.iterdir()) == ["person.safetensors", "person.safetensors.md"]


def test_an_existing_card_is_kept_and_nothing_is_written(trained, tmp_path):
    card = tmp_path / "person.safetensors.md"
    card.write_text("mine")
    with pytest.raises(ExportError, match=r"person.safetensors.md: exists already"):
        export(*trained, "safetensors", tmp_path / "person.safetensors", ExportOptions(card=True))
    assert [each.name for each in tmp_path.iterdir()] == [card.name]
    export(*trained, "safetensors", tmp_path / "person.safetensors", ExportOptions(card=True, force=True))
    assert card.read_text().startswith("# Model card")


@pytest.mark.slow
def test_the_command_scores_on_a_data_set_and_can_leave_the_card_out(lba, network_file, store, tmp_path):
    words = ("export", "--checkpoint", network_file, "--format", "safetensors", "--precision", "bfloat16")
    result = lba(*words, "--data", store, "--output", "a.safetensors")
    assert "all-search, single-shot, community protocol, mean of 10 draws: rank1" in " ".join(result.output.split())
    card = (tmp_path / "a.safetensors.md").read_text()
    assert "| exported, bfloat16 |" in card
    evaluated = lba("evaluate", "--checkpoint", "a.safetensors", "--data", store, "--json", "f.json")
    import json

    (found,) = json.loads((tmp_path / "f.json").read_text())["results"][:1]
    assert f"| {100 * found['mean']['mAP']:.2f} |" in card.split("exported, bfloat16")[1]
    assert evaluated
    lba(*words, "--no-card", "--output", "b.safetensors")
    assert not (tmp_path / "b.safetensors.md").exists()
