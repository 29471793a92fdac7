"""From a report's data to its one HTML file: nothing is loaded, and nothing but the page's own script can run."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from importlib.resources import files
from string import Template
from typing import Any

SCRIPTS = ("elements", "charts", "lists", "matching", "map", "main")


def render(data: dict[str, Any]) -> str:
    """The page of ``data`` (see :func:`~lba_cli.visualize.report.collect.assemble`).

    The page's policy allows its own style and script by their digests, and images within it; everything else, a request
    or a script in a stranger's file name, is refused by the browser.

    Raises:
        ValueError: a number isn't finite.
    """
    style = _file("style.css")
    script = '"use strict";\n' + "\n".join(_file(f"{name}.js") for name in SCRIPTS)
    summary = data["summary"]
    return Template(_file("page.html")).substitute(
        title=html.escape(_encodable(f"{summary['model']} on {summary['dataset']}")),
        policy=f"default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; style-src '{_digest(style)}'; "
        f"script-src '{_digest(script)}'",
        style=style,
        script=script,
        data=embedded(data),
    )


def embedded(data: dict[str, Any]) -> str:
    """JSON that can stand within a ``script`` element, whatever its strings hold."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"), ensure_ascii=True)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _encodable(text: str) -> str:
    """``text`` with question marks for what UTF-8 hasn't: the bytes of file names that are in no known encoding."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def _file(name: str) -> str:
    return (files(__package__) / "page" / name).read_text(encoding="utf-8")
