"""The HTML page of a report: a single file that loads nothing and runs only its own script."""

import base64
import hashlib
import html
import json
from importlib.resources import files
from string import Template
from typing import Any

SCRIPTS = ("elements", "charts", "lists", "matching", "map", "main")


def render(data: dict[str, Any]) -> str:
    """Render ``data``, which :func:`~lba_cli.visualize.report.collect.assemble` returns, as an HTML page.

    The content security policy allows the page's own style and script, by their digests, and the images within the page.
    Browsers refuse everything else, such as requests, and scripts in file names.

    Raises:
        ValueError: a number isn't finite.
    """
    style = _file("style.css")
    script = '"use strict";\n' + "\n".join(_file(f"{name}.js") for name in SCRIPTS)
    summary = data["summary"]
    title = f"{summary['model']} on {summary['dataset']}".encode(errors="replace")  # file names may hold any bytes
    return Template(_file("page.html")).substitute(
        title=html.escape(title.decode()),
        policy=f"default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; style-src '{_digest(style)}'; "
        f"script-src '{_digest(script)}'",
        style=style,
        script=script,
        data=embedded(data),
    )


def embedded(data: dict[str, Any]) -> str:
    """Encode ``data`` as JSON that is safe within a ``script`` element, whatever its strings contain."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"), ensure_ascii=True)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def _file(name: str) -> str:
    return (files(__package__) / "page" / name).read_text(encoding="utf-8")
