"""README, help examples and shipped files say nothing that isn't there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text()
GROUPS = ("prepare", "visualize", "search")


def commands_in(text):
    """Every ``lba …`` line or inline code of a text, as words."""
    found = re.findall(r"(?:^|`|&& )(lba (?:[a-z-]+)[^`\n]*)", text, flags=re.MULTILINE)
    return sorted({line.split("#")[0].strip() for line in found})


@pytest.mark.parametrize("line", commands_in(README))
def test_commands_of_the_readme_exist_with_their_options(lba, line):
    words = line.split()[1:]
    path = words[:2] if words[0] in GROUPS and len(words) > 1 else words[:1]
    options = [word for word in words if word.startswith("--")]
    if path[0].startswith("--"):
        path = []
    shown = lba(*path, "--help").output
    assert all(option in shown for option in options), line


def test_examples_in_help_use_options_that_exist(lba):
    groups = (["prepare", "sysu"], ["visualize", "correspondences"], ["search", "build"], ["search", "query"])
    for path in (*groups, ["train"], ["evaluate"], ["export"], ["embed"], ["demo"]):
        shown = lba(*path, "--help").output
        for line in re.findall(r"lba [a-z]+ .*", shown):
            assert all(word in shown.replace(line, "") for word in line.split() if word.startswith("--")), line


def test_links_and_pictures_of_the_readme_are_there():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target
    assert "<!--" not in README, "a placeholder is left"


def test_the_house_in_the_readme_is_the_house():
    for room in re.findall(r"^  ([a-z]+)/ ", README, flags=re.MULTILINE):
        assert (ROOT / "lba_cli" / room).is_dir(), room


def test_the_python_example_of_the_readme_runs(tmp_path, monkeypatch, network_file, tiny):
    import shutil

    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lba-demo" / "run" / "checkpoints").mkdir(parents=True)
    shutil.copy(network_file, tmp_path / "lba-demo" / "run" / "checkpoints" / "best.pt")
    shutil.copy(next((tiny / "cam1").glob("*/*.jpg")), "visible.jpg")
    shutil.copy(next((tiny / "cam3").glob("*/*.jpg")), "infrared.jpg")
    names = {}
    exec(code, names)
    assert names["similarity"].shape == (1, 1)
