"""Each file that isn't a readable image gets its own reason, with what to do."""

import io
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from lba_cli.data.broken_images import BrokenImage
from lba_cli.data.image_files import read_image


def encoded(format, **options):
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (64, 48, 3), np.uint8)
    Image.fromarray(noise).save(buffer, format, **options)
    return buffer.getvalue()


def zipped():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.jpg", b"x")
    return buffer.getvalue()


def tarred():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.jpg"))
    return buffer.getvalue()


def boxes(brand):
    return b"\0\0\0\x18ftyp" + brand + bytes(4) + b"mif1" + brand + bytes(40)


REASONS = {
    "empty": (b"", "an empty file; copy or download it again"),
    "zeros": (bytes(5000), "only zero bytes"),
    "web page": (b"\n<!DOCTYPE html>\n<html><body>404</body></html>", "a web page"),
    "web page without a doctype": (b"<html>404", "a web page"),
    "web page in UTF-16": ("<html>404".encode("utf-16"), "a web page"),
    "web page with a byte order mark": (b"\xef\xbb\xbf<html>", "a web page"),
    "SVG": (b'<?xml version="1.0"?><svg xmlns="x"/>', "an SVG drawing.*convert it to PNG or JPEG"),
    "LFS pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n", "git lfs pull"),
    "annex pointer": (b"/annex/objects/SHA256E-s3--00.jpg\n", "git annex get"),
    "text": (b'{"error": "no such file"}', "text, not an image: '.*no such file"),
    "text that begins like a bitmap": (b"BMX bikes\nare fun", "text, not an image"),
    "long text, cut within a letter": ("ä".encode() * 4000, "text, not an image"),
    "HEIC": (boxes(b"heic"), "a HEIC image from a phone"),
    "HEIC, image sequence": (boxes(b"msf1"), "a HEIC image"),
    "MP4": (boxes(b"isom"), r"a video \(MP4 or QuickTime\); extract its frames"),
    "QuickTime": (boxes(b"qt  "), r"a video \(MP4 or QuickTime\)"),
    "AVI": (b"RIFF\x10\0\0\0AVI LIST" + bytes(40), r"a video \(AVI\)"),
    "Matroska": (b"\x1a\x45\xdf\xa3" + bytes(range(40)), r"a video \(Matroska or WebM\)"),
    "PDF": (b"%PDF-1.7\n%\xe2\xe3", "a PDF document"),
    "ZIP": (zipped(), "a ZIP archive; unpack it"),
    "tar": (tarred(), "a tar archive; unpack it"),
    "gzip": (b"\x1f\x8b\x08\0" + bytes(range(20)), "a gzip archive"),
    "Photoshop": (b"8BPS\0\x01" + bytes(range(30)), "a Photoshop file"),
    "AppleDouble": (b"\0\x05\x16\x07\0\x02" + bytes(60), "metadata of another file.*delete it"),
    "NumPy": (b"\x93NUMPY\x01\0v\0", "a NumPy array"),
    "noise": (bytes(np.random.default_rng(1).integers(0, 256, 300, np.uint8)), "not an image of a format that is read"),
    "cut PNG": (encoded("PNG")[:400], "a truncated or damaged PNG file"),
    "PNG cut within its head": (encoded("PNG")[:20], "a damaged PNG image|a truncated or damaged"),
    "bitmap of an unknown compression": (
        encoded("BMP")[:30] + b"\x63" + encoded("BMP")[31:],
        r"of a kind that Pillow doesn't read \(Unsupported BMP compression.*convert it",
    ),
    "cut JPEG": (encoded("JPEG")[:900], r"a truncated or damaged JPEG file \(.*truncated"),
    "cut within JPEG's head": (encoded("JPEG")[:30], "a truncated or damaged image file"),
    "half-float TIFF": (b"II*\0\x08\0\0\0\0\0" + bytes(range(30)), "a damaged TIFF image, or a variant of TIFF"),
}


@pytest.mark.parametrize("kind", REASONS)
def test_the_reason_is_the_reason(tmp_path, kind):
    content, reason = REASONS[kind]
    (tmp_path / "it.jpg").write_bytes(content)
    with pytest.raises(BrokenImage, match=reason) as caught:
        read_image(tmp_path / "it.jpg", 8, 4)
    words = str(caught.value)
    assert words.isprintable(), words
    assert "'it'" not in words
    assert str(tmp_path) not in words
    assert "BytesIO" not in words
    assert "b'" not in words


def test_a_bomb_is_called_too_large_and_not_damaged(tmp_path):
    (tmp_path / "bomb.ppm").write_bytes(b"P6 60000 60000 255\n" + bytes(100))
    with pytest.raises(BrokenImage, match="more than 67,108,864 pixels; make it smaller"):
        read_image(tmp_path / "bomb.ppm", 8, 4)


def test_links_that_lead_nowhere(tmp_path):
    (tmp_path / "link.jpg").symlink_to(tmp_path / "gone.jpg")
    (tmp_path / "annexed.jpg").symlink_to(".git/annex/objects/0/1/x.jpg")
    for name, reason in (("link", "a link to a file that doesn't exist$"), ("annexed", "git annex get")):
        with pytest.raises(BrokenImage, match=reason):
            read_image(tmp_path / f"{name}.jpg", 8, 4)
