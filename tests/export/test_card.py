"""Model cards: they say what is known, that the rest isn't, and appear with the file or not at all."""

import hashlib
from dataclasses import replace

import pytest

from lba_cli.errors import LbaError
from lba_cli.export import Measured, card_text, export
from lba_cli.export.embedding_model import Flavour
from lba_cli.export.model_card import Export, ExportedFile
from lba_cli.model import load_network
from lba_cli.model.checkpoint import Description, read_checkpoint


@pytest.fixture(scope="module")
def trained(network_file):
    return load_network(network_file), read_checkpoint(network_file).description


def made(tmp_path, **changes):
    config = {"train": {"method": "full", "epochs": 81, "seed": 5}, "alignment": {"weighting": "batch_mean"}}
    figures = {"rank1": 0.5541, "mAP": 0.5414}
    described = Description("resnet50", 395, 288, 144, "SYSU-MM01", 80, figures, config)
    file = ExportedFile(tmp_path / "person.onnx", Flavour(), "ab12", 1234567)
    values = {"description": described, "embedding_size": 2048, "format": "onnx", "files": (file,), "deviation": 3e-6}
    return Export(**{**values, **changes})


def test_a_card_tells_where_the_network_comes_from(tmp_path):
    text = card_text(made(tmp_path), "all-search, single-shot")
    for words in (
        "data set: SYSU-MM01\n",
        "method: full",
        "weighting of the dense triplet: batch\\_mean",
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
        "can be compared with the trained network's own",
        "(0.485, 0.456, 0.406)",
        "MIT licence",
        "Intended use",
        "without the consent",
        "Of the exported file: not evaluated",
    ):
        assert words in text, words
    assert "synthetic" not in text.lower()


def test_what_is_not_known_is_not_made_up(tmp_path):
    text = card_text(made(tmp_path, description=Description("resnet50", 395, 288, 144)))
    assert "data set: not known" in text
    assert "In training: not evaluated." in text
    assert "last epoch: not known" in text
    assert text.count("not known: the file has no settings") == 6


def test_synthetic_people_are_called_so(tmp_path):
    description = replace(made(tmp_path).description, dataset="synthetic-small")
    assert card_text(made(tmp_path, description=description)).count("ynthetic people") == 2


def test_the_measured_loss_is_in_the_card(tmp_path):
    measured = Measured("SYSU-MM01, all-search", {"rank1": 0.5, "mAP": 0.4}, {"rank1": 0.4975, "mAP": 0.401})
    half = ExportedFile(tmp_path / "person.onnx", Flavour("float16"), "ab12", 1)
    text = card_text(made(tmp_path, measured=measured, files=(half,)))
    assert "| trained, float32 | 50.00 | 40.00 |" in text
    assert "| exported, float16 | 49.75 | 40.10 |" in text
    assert "rank-1 -0.25, mAP +0.10" in text
    assert "compare embeddings of float16 files with each other alone" in text


def test_a_strangers_text_stays_text(tmp_path):
    description = replace(made(tmp_path).description, dataset="x\n# <b>[go](http://x)</b> |")
    text = card_text(made(tmp_path, description=description))
    assert "\n# <b>" not in text
    assert "[go]" not in text


def test_the_card_lies_beside_the_file_and_has_its_checksum(trained, tmp_path):
    path = tmp_path / "person.safetensors"
    export(*trained, "safetensors", path, card=True)
    card = (tmp_path / "person.safetensors.md").read_text()
    assert hashlib.sha256(path.read_bytes()).hexdigest() in card
    assert f"{path.stat().st_size:,} bytes" in card
    assert sorted(each.name for each in tmp_path.iterdir()) == ["person.safetensors", "person.safetensors.md"]


def test_a_card_that_exists_is_kept_and_nothing_is_written(trained, tmp_path):
    card = tmp_path / "person.safetensors.md"
    card.write_text("mine")
    with pytest.raises(LbaError, match=r"person.safetensors.md: exists already"):
        export(*trained, "safetensors", tmp_path / "person.safetensors", card=True)
    assert [each.name for each in tmp_path.iterdir()] == [card.name]
    export(*trained, "safetensors", tmp_path / "person.safetensors", card=True, force=True)
    assert card.read_text().startswith("# Model card")


def test_the_command_measures_on_a_data_set_and_can_leave_the_card_out(lba, network_file, store, tmp_path):
    words = ("export", "--checkpoint", network_file, "--format", "safetensors", "--precision", "bfloat16")
    result = lba(*words, "--data", store, "--output", "a.safetensors")
    assert "all-search, single-shot, community protocol, mean of 10 trials: rank1" in " ".join(result.output.split())
    card = (tmp_path / "a.safetensors.md").read_text()
    assert "| exported, bfloat16 |" in card
    evaluated = lba("evaluate", "--checkpoint", "a.safetensors", "--data", store, "--json", "f.json")
    import json

    (found,) = json.loads((tmp_path / "f.json").read_text())["results"][:1]
    assert f"| {100 * found['mean']['mAP']:.2f} |" in card.split("exported, bfloat16")[1]
    assert evaluated
    lba(*words, "--no-card", "--output", "b.safetensors")
    assert not (tmp_path / "b.safetensors.md").exists()
