"""The pages of the documentation, and the commands, code and links in them."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
PROGRAMS = r"(lba|torchrun|python3?|pip|docker|pytest|git|uv|cd|export|ruff|mypy|bash|\w+=\S+) "


def blocks(text):
    """(language, code) of every code block."""
    return re.findall(r"```(\w*)\n(.*?)```", text, flags=re.DOTALL)


def python_block(page, word):
    """The one Python block of a page that contains ``word``."""
    (code,) = (code for language, code in blocks((ROOT / page).read_text()) if language == "python" and word in code)
    return code


def commands(text):
    """Every command in a block without a language, and in inline code; once each, in the order of the page."""
    lines = [line for language, code in blocks(text) if not language for line in code.splitlines()]
    spans = re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    found = [" ".join(command.split()) for part in (*lines, *spans) for command in part.split(" && ")]
    return list(dict.fromkeys(command for command in found if re.match(PROGRAMS, command)))


def links(text):
    """The targets of links and pictures that are files."""
    return [target for target in re.findall(r"\]\(([^)#:]+)\)", text) if target]
