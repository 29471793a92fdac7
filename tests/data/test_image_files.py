"""A test for each rule in the docstring of lba_cli/data/image_files.py."""

import io
import os
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from lba_cli.data import image_files
from lba_cli.data.broken_images import BrokenImage
from lba_cli.data.image_files import read_image

HEIGHT, WIDTH = 8, 4
COLOUR = (200, 100, 50)


@pytest.fixture
def read(tmp_path):
    """Read bytes as an image file: ``read(data, name="x.jpg")``."""

    def function(data, name="x.jpg", height=HEIGHT, width=WIDTH):
        (tmp_path / name).write_bytes(data)
        image = read_image(tmp_path / name, height, width)
        assert image.shape == (height, width, 3)
        assert image.dtype == np.uint8
        return image

    return function


def encoded(image, format, **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def plain(mode="RGB", colour=COLOUR):
    return Image.new(mode, (WIDTH, HEIGHT), colour)


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width, height, depth, colour_type, rows):
    """A PNG by hand: Pillow writes neither bombs nor 16-bit colours."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def available(format):
    Image.init()
    return pytest.param(
        format, marks=pytest.mark.skipif(format not in Image.SAVE, reason=f"this Pillow has no {format}")
    )


def close_to(image, colour, tolerance=3):
    return bool((abs(image.astype(int) - colour) <= tolerance).all())


# The format.


@pytest.mark.parametrize("name", ["x.jpg", "x.png", "x.bmp", "x", "x.txt"])
@pytest.mark.parametrize("format", ["PNG", "JPEG", "BMP", available("WEBP")])
def test_the_content_decides_the_format_not_the_name(read, name, format):
    assert close_to(read(encoded(plain(), format, quality=95), name), COLOUR)


# Formats that other programs decode.


@pytest.mark.parametrize("name", ["x.eps", "x.jpg"])
def test_eps_is_refused_by_its_content(read, name):
    with pytest.raises(BrokenImage, match="an EPS or PostScript drawing, which isn't read"):
        read(encoded(plain(), "EPS"), name)


def test_no_program_is_started_for_any_format(read, monkeypatch):
    def start(*_, **__):
        raise AssertionError("a program was started")

    monkeypatch.setattr("subprocess.Popen", start)
    monkeypatch.setattr("os.system", start)
    wmf = struct.pack("<IHhhhhHIH", 0x9AC6CDD7, 0, 0, 0, 100, 100, 72, 0, 0) + b"\x01\x00\x09\x00" + bytes(60)
    for data in (encoded(plain(), "EPS"), wmf, b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"):
        with pytest.raises(BrokenImage):
            read(data)


def test_formats_that_the_installed_pillow_lacks_are_left_out(read, monkeypatch):
    image_files.readable_formats.cache_clear()
    monkeypatch.setattr(image_files, "FORMATS", (*image_files.FORMATS, "A FORMAT OF TOMORROW"))
    try:
        assert close_to(read(encoded(plain(), "PNG")), COLOUR, 0)
        assert {"JPEG", "PNG", "BMP"} <= set(image_files.readable_formats())
        assert not {"EPS", "WMF", "A FORMAT OF TOMORROW"} & set(image_files.readable_formats())
    finally:
        image_files.readable_formats.cache_clear()


# Decompression bombs.

BOMBS = {
    "png": png(40_000, 40_000, 8, 2, bytes(1000)),
    "png of 1 bit": png(100_000, 100_000, 1, 0, bytes(1000)),
    "just too large": png(8192, 8193, 8, 2, bytes(1000)),
    "gif": b"GIF89a" + struct.pack("<HHBBB", 65_535, 65_535, 0, 0, 0) + b",\0\0\0\0\xff\xff\xff\xff\0\x02\0;",
    "bmp": b"BM"
    + struct.pack("<IHHIIiiHHIIiiII", 58, 0, 0, 54, 40, 40_000, 40_000, 1, 24, 0, 0, 0, 0, 0, 0)
    + bytes(4),
    "ppm": b"P6 60000 60000 255\n" + bytes(100),
}


@pytest.mark.parametrize("name", BOMBS)
def test_decompression_bombs_are_refused(read, name):
    with pytest.raises(BrokenImage):
        read(BOMBS[name])


def test_the_limit_is_64_megapixels(read):
    with pytest.raises(BrokenImage, match="8192 × 8193 pixels, more than 67,108,864"):
        read(BOMBS["just too large"])
    with pytest.raises(BrokenImage, match=r"^(?!.*pixels)"):  # the size is allowed, but the file is truncated
        read(png(8192, 8192, 8, 0, bytes(1000)))


def test_decompression_bombs_take_little_memory(tmp_path):
    for number, data in enumerate(BOMBS.values()):
        (tmp_path / f"{number}.png").write_bytes(data)
    code = (
        "import resource, sys; from pathlib import Path; from lba_cli.data.broken_images import BrokenImage; from lba_cli.data.image_files import read_image\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for path in sorted(Path().glob('*.png')):\n"
        "    try: read_image(path, 8, 4)\n"
        "    except BrokenImage: continue\n"
        "    sys.exit(f'{path} was read')\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) * 1024 < 100_000_000, "the PNG alone would take 4.8 GB"


# EXIF.


def with_orientation(orientation, format):
    """An image whose top half is black as it is meant to be seen, stored as ``orientation`` says."""
    seen = Image.new("RGB", (32, 32), "white")
    seen.paste("black", (0, 0, 32, 16))
    seen.paste("red", (0, 0, 16, 16))
    undo = {2: (0,), 3: (3,), 4: (1,), 5: (5,), 6: (2,), 7: (6,), 8: (4,)}  # Pillow's transpositions
    for operation in undo.get(orientation, ()):
        seen = seen.transpose(Image.Transpose(operation))
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(seen, format, exif=exif, **({"quality": 95, "subsampling": 0} if format == "JPEG" else {}))


@pytest.mark.parametrize("format", ["JPEG", "PNG", available("WEBP"), "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_orientation_is_applied(read, format, orientation):
    image = read(with_orientation(orientation, format), height=32, width=32).astype(int)
    quarters = [image[y : y + 8, x : x + 8].mean((0, 1)).round() for y in (4, 20) for x in (4, 20)]
    for quarter, colour in zip(quarters, [(255, 0, 0), (0, 0, 0), (255, 255, 255), (255, 255, 255)], strict=True):
        assert (abs(quarter - colour) < 12).all(), quarters


def test_an_unknown_exif_orientation_is_ignored(read):
    exif = Image.Exif()
    exif[0x0112] = 77
    assert close_to(read(encoded(plain(), "PNG", exif=exif)), COLOUR, 0)


@pytest.mark.parametrize(
    "exif",
    [
        b"",
        b"Exif\0\0",
        b"Exif\0\0nonsense",
        b"Exif\0\0MM\0*\xff\xff\xff\xff",
        b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + bytes(30),
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06",
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\xff\xff\xff\x7f\x06\0\0\0",
    ],
    ids=range(7),
)
@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_damaged_exif_data_are_ignored(read, exif, format):
    if format == "JPEG":
        data = encoded(plain(), "JPEG", quality=95)
        data = data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]
    else:
        data = encoded(plain(), "PNG")
        data = data[:33] + chunk(b"eXIf", exif.removeprefix(b"Exif\0\0")) + data[33:]
    assert close_to(read(data), COLOUR)


def test_errors_that_pillow_raises_about_exif_are_ignored(read, monkeypatch):
    def fail(_):
        raise SyntaxError("raised by another version of Pillow")

    monkeypatch.setattr(ImageOps, "exif_transpose", fail)
    assert close_to(read(encoded(plain(), "PNG")), COLOUR, 0)


# Other modes.


@pytest.mark.parametrize(
    ("mode", "colour", "wanted", "formats"),
    [
        ("L", 90, (90, 90, 90), ["PNG", "BMP", "TIFF", "JPEG"]),
        ("LA", (90, 0), (90, 90, 90), ["PNG", "TIFF"]),
        ("RGBA", (*COLOUR, 0), COLOUR, ["PNG", "TIFF"]),
        ("RGBA", (*COLOUR, 128), COLOUR, ["PNG"]),
        ("CMYK", (255, 0, 0, 0), (0, 255, 255), ["TIFF", "JPEG"]),
        ("CMYK", (0, 0, 0, 255), (0, 0, 0), ["TIFF", "JPEG"]),
        ("1", 1, (255, 255, 255), ["PNG", "BMP", "TIFF"]),
        ("1", 0, (0, 0, 0), ["PNG", "BMP", "TIFF"]),
    ],
)
def test_other_modes_become_rgb_and_transparency_is_dropped(read, mode, colour, wanted, formats):
    for format in formats:
        assert close_to(read(encoded(plain(mode, colour), format)), wanted, 3 if format == "JPEG" else 0), format


@pytest.mark.parametrize("format", ["PNG", "GIF"])
@pytest.mark.parametrize("transparent", [None, 1])
def test_palettes_become_rgb_and_transparent_pixels_keep_their_colour(read, format, transparent):
    image = plain("P", 1)
    image.putpalette([0, 0, 0, *COLOUR, 255, 255, 255])
    options = {} if transparent is None else {"transparency": transparent}
    assert close_to(read(encoded(image, format, **options)), COLOUR, 0)


def test_gray_with_a_transparent_value_keeps_its_level(read):
    assert close_to(read(encoded(plain("L", 90), "PNG", transparency=90)), 90, 0)


# More than eight bits.


@pytest.mark.parametrize("value", [0x0000, 0x00FF, 0x7FFF, 0xABCD, 0xFFFF])
def test_16_bit_gray_keeps_the_upper_8_bits(read, value):
    gray = np.full((HEIGHT, WIDTH), value, np.uint16)
    rows = (b"\0" + struct.pack(">H", value) * WIDTH) * HEIGHT
    by_hand = png(WIDTH, HEIGHT, 16, 0, rows)
    big_endian = encoded(Image.fromarray(gray), "TIFF")
    pgm = b"P5 %d %d 65535\n" % (WIDTH, HEIGHT) + struct.pack(">H", value) * WIDTH * HEIGHT
    for data in (
        by_hand,
        big_endian,
        encoded(Image.fromarray(gray), "PNG"),
        pgm,
        tiff16(value, "<"),
        tiff16(value, ">"),
    ):
        assert (read(data) == value >> 8).all()


def tiff16(value, order):
    """A 16-bit gray TIFF of either byte order by hand."""
    pixels = struct.pack(f"{order}H", value) * WIDTH * HEIGHT
    tags = [(256, 4, WIDTH), (257, 4, HEIGHT), (258, 3, 16), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1)]
    tags += [(278, 4, HEIGHT), (279, 4, len(pixels))]
    entries = b"".join(
        struct.pack(f"{order}HHI", tag, kind, 1)
        + struct.pack(f"{order}{'HH' if kind == 3 else 'I'}", *([value, 0] if kind == 3 else [value]))
        for tag, kind, value in tags
    )
    mark = b"II*\0" if order == "<" else b"MM\0*"
    directory = struct.pack(f"{order}H", len(tags)) + entries + bytes(4)
    return mark + struct.pack(f"{order}I", 8 + len(pixels)) + pixels + directory


@pytest.mark.parametrize(("colour_type", "channels"), [(2, 3), (6, 4), (4, 2)], ids=["RGB", "RGBA", "LA"])
def test_16_bit_colours_keep_the_upper_8_bits(read, colour_type, channels):
    values = [0x12FF, 0xABCD, 0x00FF, 0x8000][:channels]
    rows = (b"\0" + struct.pack(f">{channels}H", *values) * WIDTH) * HEIGHT
    image = read(png(WIDTH, HEIGHT, 16, colour_type, rows))
    wanted = [value >> 8 for value in values[:3]] if channels > 2 else [values[0] >> 8] * 3
    assert (image == wanted).all()


def test_16_bit_gray_in_mode_i_of_older_pillows():
    """Older versions of Pillow open it in mode I, which is also the mode of 32-bit integers in other formats."""
    image = Image.fromarray(np.full((HEIGHT, WIDTH), 0xABCD, np.int32))
    image.format = "PNG"
    assert image_files._rgb(image, "full")[0].getpixel((0, 0)) == (0xAB, 0xAB, 0xAB)
    image.format = "TIFF"
    with pytest.raises(BrokenImage, match="uint32 pixels, whose range isn't known"):
        image_files._rgb(image, "full")


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_pixels_without_a_known_range_are_refused(read, kind):
    data = encoded(Image.fromarray(np.full((HEIGHT, WIDTH), 7, kind)), "TIFF")
    with pytest.raises(BrokenImage, match=rf"{kind.__name__} pixels, whose range isn't known: set it with --set data"):
        read(data)


# Several frames.


@pytest.mark.parametrize("format", ["GIF", "PNG", available("WEBP"), "TIFF"])
def test_the_first_of_several_frames_is_read(read, format):
    first, second = plain("RGB", (255, 0, 0)), plain("RGB", (0, 0, 255))
    options = {"lossless": True} if format == "WEBP" else {}
    data = encoded(first, format, save_all=True, append_images=[second], **options)
    with Image.open(io.BytesIO(data)) as image:
        assert image.n_frames == 2, "otherwise this test could not fail"
    assert close_to(read(data), (255, 0, 0))


# Truncated and otherwise broken.


@pytest.mark.parametrize("format", ["JPEG", "PNG", "BMP", "GIF", "TIFF", available("WEBP")])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.95])
def test_truncated_images_are_refused(read, format, share):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 48, 3), np.uint8))
    data = encoded(noise, format)
    read(data)
    with pytest.raises(BrokenImage):
        read(data[: int(share * len(data))])


@pytest.mark.parametrize("data", [b"", b"\0", b"hello\n", bytes(10_000), b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n"])
def test_files_that_are_no_images_are_refused(read, data):
    with pytest.raises(BrokenImage):
        read(data)


def test_messages_do_not_repeat_the_path(read, tmp_path):
    with pytest.raises(BrokenImage) as caught:
        read(b"hello")
    assert str(tmp_path) not in str(caught.value)


def test_paths_that_are_no_regular_files_are_refused(tmp_path):
    (tmp_path / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "fifo.jpg")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    for name, reason in (("none", "no such file"), ("folder", "not a regular file"), ("fifo", "not a regular file")):
        with pytest.raises(BrokenImage, match=reason):
            read_image(tmp_path / f"{name}.jpg", 8, 4)
    with pytest.raises(BrokenImage):
        read_image(tmp_path / "loop.jpg", 8, 4)
    if os.path.exists("/dev/zero"):  # noqa: PTH110
        with pytest.raises(BrokenImage, match="not a regular file"):
            read_image("/dev/zero", 8, 4)


def test_the_array_owns_its_memory(read):
    assert read(encoded(plain(), "PNG")).flags.writeable
