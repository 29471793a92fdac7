"""A folder with everything that the documentation's commands suppose, in a tiny size."""

import shutil

import pytest
import yaml
from docs.pages import ROOT
from small_setup import SMALL


@pytest.fixture
def readers_folder(tmp_path, monkeypatch, trees, network_file, official_file):
    """The current folder of a reader: data sets, configs, checkpoints and photos."""
    steps = {**SMALL, "train": {**SMALL["train"], "epochs": 1, "steps_per_epoch": 1}}
    (tmp_path / "lba.yaml").write_text(yaml.safe_dump(steps))
    (tmp_path / "configs").mkdir()
    for path in (ROOT / "configs").glob("*.yaml"):
        recipe = yaml.safe_load(path.read_text())
        sections = {**{name: {} for name in steps}, **recipe}
        tiny = {section: {**keys, **steps.get(section, {})} for section, keys in sections.items()}
        (tmp_path / "configs" / path.name).write_text(yaml.safe_dump(tiny))
    (tmp_path / "datasets").mkdir()
    for layout, name in {"sysu": "SYSU-MM01", "regdb": "RegDB", "llcm": "LLCM"}.items():
        (tmp_path / "datasets" / name).symlink_to(trees[layout])
    shutil.copytree(trees["folder"], tmp_path / "photos")
    for modality in ("visible", "infrared"):
        (tmp_path / "photos" / modality / "person 001").rename(tmp_path / "photos" / modality / "anna")
    (tmp_path / "sysu_pretrained.t").symlink_to(official_file)
    checkpoint = tmp_path / "lba-demo" / "run" / "checkpoints" / "last.pt"
    checkpoint.parent.mkdir(parents=True)
    for path in (checkpoint, *(tmp_path / letter for letter in "ABC")):
        shutil.copy(network_file, path)
    people = {
        modality: sorted((trees["sysu"] / camera).glob("*/*.jpg"))
        for modality, camera in (("visible", "cam1"), ("infrared", "cam3"))
    }
    for modality, images in people.items():
        shutil.copy(images[0], tmp_path / f"{modality}.jpg")
    shutil.copytree(people["visible"][1].parent, tmp_path / "new-photos")
    shutil.copy(people["infrared"][0], tmp_path / "night.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path
