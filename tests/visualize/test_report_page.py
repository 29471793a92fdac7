"""The page of a report: it is self-contained, and runs no script but its own."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

from report_pages import data_of
from small_setup import HEIGHT

from lba_cli.visualize.report.page import embedded, render


class Inspector(HTMLParser):
    def __init__(self):
        super().__init__()
        self.addresses, self.scripts = [], 0

    def handle_starttag(self, tag, attrs):
        self.scripts += tag == "script"
        self.addresses += [value for name, value in attrs if name in ("src", "href", "action", "data", "srcset")]


def test_the_page_is_self_contained(data):
    text = render(data)
    seen = Inspector()
    seen.feed(text)
    assert seen.scripts == 2
    assert all(address.startswith(("data:", "#")) for address in seen.addresses)
    page = text.replace("http://www.w3.org/2000/svg", "")
    assert "http://" not in page
    assert "https://" not in page
    assert "url(" not in page
    assert data_of(text) == json.loads(json.dumps(data))


def test_the_policy_allows_only_the_scripts_of_the_page(data):
    text = render(data)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    for element, directive in (("script", "script-src"), ("style", "style-src")):
        (content,) = re.findall(f"<{element}>(.*?)</{element}>", text, flags=re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in policy
    for none in ("default-src", "base-uri", "form-action"):
        assert f"{none} 'none'" in policy
    assert "unsafe" not in policy


def test_a_hostile_file_name_stays_text(data):
    evil = "</script><script>alert(1)</script><!--\u2028$title&amp;.jpg"
    images = [{**data["images"][0], "path": evil}, *data["images"][1:]]
    summary = {**data["summary"], "model": f"<img src=x onerror=alert(1)>{evil}"}
    text = render({**data, "images": images, "summary": summary})
    seen = Inspector()
    seen.feed(text)
    assert seen.scripts == 2
    assert "<img" not in text
    assert data_of(text)["images"][0]["path"] == evil
    assert "<" not in embedded({"x": evil})


def test_the_summary_says_that_people_are_synthetic_and_that_there_is_no_run(data):
    assert data["summary"]["synthetic"]
    assert not data["summary"]["has_run"]
    assert data["curves"] is None
    assert data["summary"]["dataset"] == "synthetic-tiny"
    assert dict(map(tuple, data["summary"]["config"]))["data.height"] == str(HEIGHT)
    assert [name for name, _, _ in data["summary"]["figures"][0]["figures"]][:1] == ["rank1"]
