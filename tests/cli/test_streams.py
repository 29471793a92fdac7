"""Results reach whoever reads them, whatever the encoding, and files are written when nobody does."""

import io
import json
import os
import shutil
import sys

import pytest
from rich.console import Console

from lba_cli.cli import console
from lba_cli.cli.streams import PLAINER, drop_output, write_all_characters
from lba_cli.errors import one_line

OURS = "288×144 ±0.5 … → · – ✓"
ODD = "图片 😄 :smile: [bold]x[/bold] שלום \udcff"


@pytest.fixture
def stdout(monkeypatch):
    """Put a stream of an encoding in the place of stdout, and return what was written: ``stdout("ascii")``."""

    def make(encoding):
        stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        monkeypatch.setattr(sys, "stdout", stream)
        monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
        write_all_characters()
        console.get_console.cache_clear()
        return lambda: (stream.flush(), stream.buffer.getvalue())[1].decode(encoding)

    return make


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp1251", "cp437", "latin-1", "utf-8", "utf-16"])
def test_every_character_can_be_written(stdout, encoding):
    written = stdout(encoding)
    print(OURS, ODD)
    console.print_line(OURS + ODD)
    console.get_console().print(OURS)
    text = written()
    assert ":smile: [bold]x[/bold]" in text, "names are neither markup nor codes of emoji"
    lacking = encoding not in ("utf-8", "utf-16")
    assert ("\\u56fe\\u7247 \\U0001f604" in text) == lacking
    assert "\\udcff" in text, "a byte of a file's name that isn't text"
    if encoding == "ascii":
        assert "288x144 +-0.5 ... -> | - v" in text


def test_streams_that_are_missing_or_no_text_streams_are_left_alone(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    write_all_characters()
    drop_output()
    assert "é".encode("ascii", PLAINER) == b"\\xe9"
    with pytest.raises(UnicodeDecodeError):
        b"\xff".decode("ascii", PLAINER)


def test_names_with_control_characters_or_line_breaks_are_one_line():
    assert one_line("a\nb\x1b[31m\u202ec") == "a�b�[31m�c"
    output = io.StringIO()
    for listener in (console.Lines, console.Bars):
        listener(Console(file=output, width=200, **console.LITERAL)).warn("left out a\nwarning: b: [red]:smile:[/red]")
    assert output.getvalue().splitlines() == ["warning: left out a�warning: b: [red]:smile:[/red]"] * 2


def test_a_reader_that_leaves_ends_nothing(monkeypatch):
    """The pipe's other end is closed, as ``head`` does; file descriptor 1 of the test itself isn't touched."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        console.get_console.cache_clear()
        for _ in range(3):
            console.print_line("a result")
        stream.write("what Python writes when it exits")
        stream.flush()
    console.get_console.cache_clear()


@pytest.fixture
def no_reader(monkeypatch):
    """Let every write to stdout fail, as after ``| head``."""

    def fail(_):
        raise BrokenPipeError

    monkeypatch.setattr(console._ResultsConsole, "_write_buffer", fail)
    monkeypatch.setattr(console, "drop_output", lambda: None)


@pytest.mark.slow
def test_files_are_written_although_nobody_reads_the_tables(lba, network_file, tiny, tmp_path, no_reader):
    shutil.copytree(next(iter(sorted((tiny / "cam1").iterdir()))), tmp_path / "[bold]photos")
    images = sorted(tmp_path.glob("[[]bold]photos/*.jpg"))
    images[0].rename(images[0].with_name(":smile:.jpg"))
    words = ("--modality", "visible", "--checkpoint", network_file)
    lba("search", "build", "[bold]photos", "--index", "g", *words)
    query = ("search", "query", "g", tiny / "cam3", "--modality", "infrared")
    images[1].unlink()
    result = lba(*query, "--json", "a.json", "--picture", "a.png")
    assert "images that can't be read any more are drawn as gray tiles" in result.output
    assert json.loads((tmp_path / "a.json").read_text())["gallery_images"] == len(images)
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_preparing_goes_on_although_nobody_reads_its_tables(lba, trees, tmp_path, no_reader):
    """The table of what a copy lacks comes before the work."""
    lba(
        "prepare",
        "regdb",
        "--root",
        trees["regdb"],
        "--output",
        "s",
        "--set",
        "data.height=32",
        "--set",
        "data.width=16",
    )
    assert (tmp_path / "s" / "manifest.json").is_file()


def test_the_table_and_the_picture_of_a_search_name_the_files(lba, network_file, tiny, tmp_path):
    (tmp_path / "photos").mkdir()
    image = next(iter(sorted((tiny / "cam1").rglob("*.jpg"))))
    names = (":smile:.jpg", "[red]x.jpg", "שלום.jpg", "😄.jpg", "gone.jpg")
    for name in names:
        shutil.copy(image, tmp_path / "photos" / name)
    lba("search", "build", "photos", "--index", "g", "--modality", "visible", "--checkpoint", network_file)
    (tmp_path / "photos" / "gone.jpg").unlink()
    shown = lba("search", "query", "g", image, "--modality", "infrared", "--picture", "a.png").output
    for name in names:
        assert f"photos/{name}" in shown
    assert (
        f"images that can't be read any more are drawn as gray tiles: {tmp_path}/photos/gone.jpg (no such file)"
        in shown
    )
    assert (tmp_path / "a.png").is_file()
