"""Lists of identities and of images, in every encoding and with every line end that users' systems write."""

import codecs

import pytest
import small_setup

from lba_cli.datasets.lists import read_identities, read_image_list

IMAGES = "Visible/1/a.bmp 0\nVisible/größe 2/b.bmp 1\n"
WANTED = [("Visible/1/a.bmp", 0, 1), ("Visible/größe 2/b.bmp", 1, 2)]


def images_in(folder, content):
    (folder / "list.txt").write_bytes(content)
    return [(entry.path, entry.label, entry.line) for entry in read_image_list(folder, "list.txt")]


@pytest.mark.parametrize(
    "content",
    [
        IMAGES.encode(),
        codecs.BOM_UTF8 + IMAGES.encode(),
        IMAGES.encode("utf-16"),
        codecs.BOM_UTF16_BE + IMAGES.encode("utf-16-be"),
        IMAGES.encode("utf-32"),
        IMAGES.replace("\n", "\r\n").encode("utf-16"),
        IMAGES.replace("\n", "\r").encode(),
        IMAGES.replace("p ", "p\t").encode(),
        IMAGES.replace("\n", "  \t\n").rstrip().encode(),
    ],
)
def test_a_list_is_read_in_any_marked_encoding_and_with_any_line_ends(tmp_path, content):
    assert images_in(tmp_path, content) == WANTED


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (IMAGES.encode("latin-1"), "line 2 is not UTF-8 text (byte 0xf6); save the file as UTF-8"),
        (IMAGES.encode("utf-16")[:-1], "line 2 is not UTF-16-LE text"),
        (IMAGES.encode("utf-16-le"), "UTF-16 without a byte order mark; save the file as UTF-8"),
        (IMAGES.encode("utf-16-be"), "UTF-16 without a byte order mark; save the file as UTF-8"),
        (IMAGES.replace("/", "\\").encode(), "paths must use forward slashes; replace every \\ with /"),
        (codecs.BOM_UTF16_LE, ":1: empty; expected lines such as path/to/image.bmp 0"),
        (b"", ":1: empty; expected lines such as path/to/image.bmp 0"),
        (b"Visible/1/a.bmp,0\n", ":1: 'Visible/1/a.bmp,0' is not an image's path and a label"),
        (b"Visible/1/a.bmp 4000000000\n", ":1: '4000000000' is not a label"),
    ],
)
def test_another_list_is_refused_with_the_reason(tmp_path, content, words):
    small_setup.refused(lambda: images_in(tmp_path, content), str(tmp_path / "list.txt"), words)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("text", ["0000,1\n2,10\n", "0000,1,\r\n\r\n2, 10", "0000,1\r2\r10\r"])
def test_identities_are_read_in_any_marked_encoding_and_with_any_line_ends(tmp_path, encoding, text):
    (tmp_path / "ids.txt").write_bytes(text.encode(encoding))
    assert [identity for _, identity in read_identities(tmp_path / "ids.txt")] == [0, 1, 2, 10]


def test_the_line_of_an_identity_counts_blank_lines(tmp_path):
    (tmp_path / "ids.txt").write_text("1\n\n2 3\n")
    small_setup.refused(lambda: list(read_identities(tmp_path / "ids.txt")), "ids.txt:3: '2 3' is not an identity")
