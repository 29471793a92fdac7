"""README, help examples and shipped files say nothing that isn't there."""

import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, flags=re.DOTALL)


def every_command(command=None, path=()):
    """All the commands, with the words that name them."""
    from typer.main import get_command

    from lba_cli.cli.app import app

    command = command or get_command(app)
    command = getattr(command, "command", command)  # one that is read when it is called
    if not hasattr(command, "commands"):
        return [(path, command)]
    return [each for name, below in command.commands.items() for each in every_command(below, (*path, name))]


@pytest.mark.parametrize(("path", "command"), every_command())
def test_every_command_has_examples_that_would_run(path, command):
    lines = re.findall(r"`(lba [^`]*)`", command.epilog or "")
    assert lines, "no example"
    for line in lines:
        words = shlex.split(line)[1:]
        assert tuple(words[: len(path)]) == path, line
        parsed(words)


def test_links_and_pictures_of_the_readme_are_there():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target
    assert "<!--" not in README, "a placeholder is left"


def test_the_house_in_the_readme_is_the_house():
    for room in re.findall(r"^  ([a-z]+)/ ", README, flags=re.MULTILINE):
        assert (ROOT / "lba_cli" / room).is_dir(), room


def test_every_line_of_a_code_block_is_a_command_that_would_run():
    """Commands are parsed with their options' values; nothing else stands in a block without a language."""
    for language, code in BLOCKS:
        if language == "python" or code.startswith("lba_cli/"):
            continue
        for line in code.strip().splitlines():
            for command in line.split(" && "):
                first, *words = shlex.split(command)
                if first == "lba":
                    parsed(words)
                elif first == "torchrun":
                    parsed(words[words.index("lba_cli") + 1 :])
                elif first == "docker":
                    assert words[0] in ("build", "run"), line
                    if words[0] == "run":
                        parsed(words[words.index("lba") + 1 :])
                else:
                    assert (first, words[0]) in (("pip", "install"), ("python", "-m")), line


def parsed(words):
    """A command line read by the command it names; its settings are resolved too."""
    from typer.main import get_command

    from lba_cli.cli.app import app
    from lba_cli.config import ConfigLayer, resolve_config

    command, rest = get_command(app), list(words)
    while hasattr(command, "commands"):
        command = command.commands[rest.pop(0)]
        command = getattr(command, "command", command)
    context = command.make_context(command.name, rest)
    resolve_config([ConfigLayer.from_assignments(context.params.get("assignments") or [])])


def what_works_on_what():
    """The README's table: of each row what works, its test files, and the cells by data set."""
    rows = [
        line.strip("|").split("|") for line in README.splitlines() if re.match(r"\| .*`[a-z]+/test_.*|\| \| SYSU", line)
    ]
    (header, *rows) = [[cell.strip() for cell in row] for row in rows]
    names = {"SYSU-MM01": "sysu", "RegDB": "regdb", "LLCM": "llcm", "own folders": "folder"}
    return [(row[0], dict(zip((names[name] for name in header[1:]), row[1:], strict=True))) for row in rows]


def named_tests(words):
    """The test files that a row names; a name without a folder is in that of the one before it."""
    found, folder = [], ""
    for pattern in re.findall(r"`([\w/*]*test_[\w*]+\.py)`", words):
        folder = pattern.rpartition("/")[0] or folder
        paths = sorted((ROOT / "tests" / folder).glob(pattern.rpartition("/")[2]))
        assert paths, f"no test {pattern}"
        found += paths
    return found


@pytest.mark.parametrize(("words", "cells"), what_works_on_what())
def test_what_works_on_what_is_tested_on_that(words, cells):
    """Where a cell says yes, the row's tests name the data set, or go through all of them."""
    assert len(cells) == 4
    paths = named_tests(words)
    texts = [path.read_text() for path in paths]
    for dataset, cell in cells.items():
        if cell == "yes":
            through_all = any(re.search(r"parametrize\(\"dataset\", (DATASETS|MEASURED)", text) for text in texts)
            named = any(re.search(rf"[\"_]{dataset}[\"_]", text) for text in texts)
            named |= any(path.stem.endswith(f"_{dataset}") for path in paths)
            assert named or through_all, f"{words}: nothing on {dataset}"
        else:
            assert re.fullmatch(r"one split|no draws|none at hand", cell), cell


def test_files_that_the_readme_names_are_there():
    for path in re.findall(r"(?:python|pytest)[^`\n]* ((?:tests|configs)/[\w/.]*)", README):
        assert (ROOT / path).exists(), path
