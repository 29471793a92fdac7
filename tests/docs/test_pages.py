"""README, docs and help examples say nothing that isn't there."""

import re
import shlex

import pytest
from docs.documented_keys import rows
from docs.pages import PAGES, ROOT, blocks, links

import lba_cli
from lba_cli.config import Config
from lba_cli.methods import METHODS


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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_pictures_lead_to_files(page):
    for target in links(page.read_text()):
        assert (page.parent / target).exists(), target
    assert "<!--" not in page.read_text(), "a placeholder is left"


def test_the_readme_fits_on_a_page():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


def test_the_documentation_is_complete():
    names = {page.stem for page in (ROOT / "docs").glob("*.md")}
    assert names >= {"data", "protocols", "methods", "performance", "reliability", "deployment", "extending"}
    linked = links((ROOT / "README.md").read_text())
    assert {f"docs/{name}.md" for name in names} <= set(linked)


def test_the_table_of_config_keys_is_the_schema():
    text = (ROOT / "docs" / "methods.md").read_text()
    table = text[text.index("| key | default | meaning |") :].splitlines()[2:]
    assert table == list(rows())


def test_the_changelog_begins_with_this_version():
    first = re.search(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    assert first[1] == lba_cli.__version__


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_line_of_a_code_block_is_a_command_that_would_run(page):
    for language, code in blocks(page.read_text()):
        if language:
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
                    known = (
                        ("pip", "install"),
                        ("python", "-m"),
                        ("ruff", "check"),
                        ("ruff", "format"),
                        ("bash", ".ci/run"),
                    )
                    assert first == "mypy" or (first, words[0]) in known or words[0].endswith(".py"), line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_commands_name_exist(page):
    for path in re.findall(r"(?:python|pytest)[^`\n]* ((?:tests|configs)/[\w/.]*)", page.read_text()):
        assert (ROOT / path).exists(), path
    for path in re.findall(r"`((?:lba_cli|tests|configs)/[\w/.]+)`", page.read_text()):
        assert (ROOT / path).exists(), path


def parsed(words):
    """Parse a command line by the command that it names, and resolve its config keys."""
    from typer.main import get_command

    from lba_cli.cli.app import app
    from lba_cli.config import ConfigLayer, resolve_config

    command, rest = get_command(app), list(words)
    while hasattr(command, "commands"):
        command = command.commands[rest.pop(0)]
        command = getattr(command, "command", command)
    context = command.make_context(command.name, rest)
    resolve_config([ConfigLayer.from_assignments(context.params.get("assignments") or [])])


def test_the_tables_of_methods_are_those_of_the_code():
    lines = (ROOT / "docs" / "methods.md").read_text().splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `")]
    found = {row[0].strip("`"): row[1 : len(METHODS) + 1] for row in cells if len(row) > len(METHODS)}
    terms = {term.name for method in METHODS.values() for term in method.terms}
    settings = {key for method in METHODS.values() for key in method.settings}
    assert found.keys() == terms | settings
    for number, method in enumerate(METHODS.values()):
        weights = {term.name: f"{weight:g}" for term, weight in method.default_weights.items()}
        assert {name: found[name][number] for name in terms} == {name: weights.get(name, "–") for name in terms}
        config = Config(train={"method": method.name}).values()
        for key in settings:
            section, _, name = key.partition(".")
            value = config[section][name]
            shown = str(value).lower() if isinstance(value, bool | str) else f"{value:g}"
            assert found[key][number] == shown, (method.name, key)
