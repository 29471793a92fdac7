"""Pixels of more than 8 bits become 8 bits by the documented rule, and what isn't used is counted."""

import io
import struct

import numpy as np
import pytest
from fake_listener import Recorder
from PIL import Image, TiffImagePlugin

from lba_cli.data.image_files import BrokenImage, decode_image, read_image
from lba_cli.data.pixel_values import DEEP, EXTRA_CHANNEL, FLAT, FLAT_COLOURS, to_8_bits, warn_of_values

HEIGHT, WIDTH = 16, 32
FRAME = np.linspace(7000, 7510, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH)  # 14-bit values of a radiometric camera


def save(path, array, mode=None, **options):
    image = array if isinstance(array, Image.Image) else Image.fromarray(array, mode)
    image.save(path, **options)
    return path


def decode(path, value_range="full"):
    return decode_image(path, HEIGHT, WIDTH, value_range)


def tiff(path, values, sample_format):
    """Write a gray TIFF of any dtype by hand: Pillow writes neither signed 16 bits nor unsigned 32."""
    pixels, bits = values.astype(values.dtype.newbyteorder("<")).tobytes(), 8 * values.dtype.itemsize
    tags = [(256, 4, WIDTH), (257, 4, HEIGHT), (258, 3, bits), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1)]
    tags += [(278, 4, HEIGHT), (279, 4, len(pixels)), (339, 3, sample_format)]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    head = b"II*\0" + struct.pack("<I", 8 + len(pixels))
    path.write_bytes(head + pixels + struct.pack("<H", len(tags)) + entries + bytes(4))
    return path


DEEP_FILES = {
    "16-bit PNG": lambda path: save(path, FRAME.astype(np.uint16), format="PNG"),
    "16-bit TIFF": lambda path: save(path, FRAME.astype(np.uint16), format="TIFF"),
    "16-bit PGM": lambda path: save(path, FRAME.astype(np.uint16), format="PPM"),
    "signed 16-bit TIFF": lambda path: tiff(path, FRAME.astype(np.int16), 2),
    "signed 32-bit TIFF": lambda path: tiff(path, FRAME.astype(np.int32), 2),
    "unsigned 32-bit TIFF": lambda path: tiff(path, FRAME.astype(np.uint32), 1),
    "float TIFF": lambda path: save(path, FRAME.astype(np.float32), format="TIFF"),
}


@pytest.mark.parametrize("kind", DEEP_FILES)
@pytest.mark.parametrize("value_range", ["image", "percentiles", (7000, 7510), ("0%", "100%")])
def test_every_kind_of_deep_pixels_is_stretched_alike(tmp_path, kind, value_range):
    decoded = decode(DEEP_FILES[kind](tmp_path / "x"), value_range)
    stretched = np.interp(
        FRAME, np.percentile(FRAME, (1, 99)) if value_range == "percentiles" else (7000, 7510), (0, 255)
    )
    assert (abs(decoded.pixels.astype(float) - stretched[..., None]) <= 1).all()
    assert decoded.facts == {DEEP}


@pytest.mark.parametrize("kind", [kind for kind in DEEP_FILES if "16" in kind])
def test_full_keeps_the_upper_8_bits_of_16_and_such_frames_are_counted_as_flat(tmp_path, kind):
    decoded = decode(DEEP_FILES[kind](tmp_path / "x"))
    offset = 32768 if "signed" in kind else 0
    assert (decoded.pixels == (FRAME.astype(int) + offset)[..., None] >> 8).all()
    assert decoded.facts == {DEEP, FLAT}


@pytest.mark.parametrize("kind", [kind for kind in DEEP_FILES if "16" not in kind])
def test_full_refuses_pixels_whose_range_is_not_known_and_names_the_setting(tmp_path, kind):
    with pytest.raises(BrokenImage, match=r"range isn't known: set it with --set data\.value_range=percentiles"):
        decode(DEEP_FILES[kind](tmp_path / "x"))


def test_negative_and_large_values_keep_their_order(tmp_path):
    signed = np.linspace(-3000, 3000, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(np.int16)
    large = np.linspace(2**31 - 9000, 2**31 + 9000, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(np.uint32)
    for values, sample_format in ((signed, 2), (large, 1)):
        gray = (
            read_image(tiff(tmp_path / "x", values, sample_format), HEIGHT, WIDTH, "image")[..., 0].ravel().astype(int)
        )
        assert gray[0] == 0
        assert gray[-1] == 255
        assert (np.diff(gray) >= 0).all()
    gray = read_image(tiff(tmp_path / "x", signed, 2), HEIGHT, WIDTH)[..., 0]
    assert (gray == (signed.astype(int) + 32768) >> 8).all()


def test_values_outside_the_range_and_values_that_are_no_numbers():
    values = np.array([[np.nan, -np.inf, np.inf, 4.0, 5.0, 6.0, 99.0]], np.float32)
    assert to_8_bits(values, (4, 6)).tolist() == [[0, 0, 255, 0, 128, 255, 255]]
    assert not to_8_bits(np.full((2, 2), 7, np.uint16), "image").any(), "a constant image is black"


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "LA"])
def test_8_bit_images_do_not_depend_on_the_setting(tmp_path, mode):
    noise = np.random.default_rng(0).integers(90, 110, (HEIGHT, WIDTH, 3), np.uint8)
    path = save(tmp_path / "x", Image.fromarray(noise).convert(mode), format="TIFF")
    wanted = read_image(path, HEIGHT, WIDTH)
    for value_range in ("image", "percentiles", (95, 100)):
        decoded = decode(path, value_range)
        assert (decoded.pixels == wanted).all()
        assert not decoded.facts & {DEEP, FLAT}


def test_16_bit_colours_are_counted_where_little_is_left_of_them(tmp_path):
    for dark, facts in ((True, {FLAT_COLOURS}), (False, set())):
        rows, low = [], FRAME.astype(int) if dark else (FRAME - 7000).astype(int) * 128
        for line in low:
            rows.append(b"\0" + b"".join(struct.pack(">HHH", value, value, value) for value in line))
        assert decode(png(tmp_path / "x", rows)).facts == facts
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    assert not decode(save(tmp_path / "y", Image.new("RGB", (WIDTH, HEIGHT)), format="TIFF", tiffinfo=tags)).facts
    ppm = b"P6 %d %d 65535\n" % (WIDTH, HEIGHT) + b"\x1b\x58" * 3 * WIDTH * HEIGHT
    (tmp_path / "z").write_bytes(ppm)
    assert decode(tmp_path / "z").facts == {FLAT_COLOURS}


def png(path, rows):
    import zlib

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, 2, 0, 0, 0)
    parts = chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(b"".join(rows))), chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    return path


def with_extra_channel():
    """A TIFF of red, green, blue and a fourth channel that isn't transparency, as multispectral cameras write it."""
    image, buffer = Image.new("RGBX", (WIDTH, HEIGHT), (1, 2, 3, 200)), io.BytesIO()
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[338] = 0
    image.save(buffer, "TIFF", tiffinfo=tags)
    return buffer.getvalue()


def test_transparency_and_a_fourth_channel_are_counted_unless_they_say_nothing(tmp_path):
    size = (WIDTH, HEIGHT)
    palette = Image.new("P", size, 1)
    palette.putpalette([0, 0, 0, 200, 100, 50])
    extra = {EXTRA_CHANNEL}
    for image, options, facts in (
        (Image.new("RGBA", size, (1, 2, 3, 255)), {}, set()),
        (Image.new("RGBA", size, (1, 2, 3, 254)), {}, extra),
        (Image.new("LA", size, (9, 0)), {}, extra),
        (palette, {}, set()),
        (palette, {"transparency": 1}, extra),
        (palette, {"transparency": 0}, set()),  # no pixel has that color
        (Image.new("L", size, 90), {"transparency": 90}, extra),
    ):
        assert decode(save(tmp_path / "x", image, format="PNG", **options)).facts == facts, (image.mode, options)
    (tmp_path / "x").write_bytes(with_extra_channel())
    decoded = decode(tmp_path / "x")
    assert decoded.facts == extra
    assert (decoded.pixels == (1, 2, 3)).all()


def test_warnings_name_the_number_the_setting_and_what_to_do():
    listener = Recorder()
    warn_of_values(listener, {FLAT: 3, EXTRA_CHANNEL: 1, DEEP: 5}, 1200, (0.5, 9), "photos: ")
    assert [line.split(",")[0] for line in listener.warnings] == [
        "photos: 3 of 1",
        "photos: 1 of 1",
    ]
    assert "fewer than 32 of 256 gray levels with data.value_range=[0.5, 9]" in listener.warnings[0]
    assert "--set data.value_range=percentiles" in listener.warnings[0]
    assert "transparency or a fourth channel, which is not used" in listener.warnings[1]
    warn_of_values(listener, {DEEP: 5}, 1200, "full")
    assert len(listener.warnings) == 2
