"""Explain why a file can't be read as an image, and what the user can do."""

from pathlib import Path

from lba_cli.errors import quoted

HEAD = 1024  # number of bytes that are read from the beginning of a file
AGAIN = "copy or download it again"
CONVERT = "convert it to PNG or JPEG"

# How files of each kind begin: the position of a mark, the mark's bytes, and the reason. The first row that fits is used.
_KINDS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"version https://git-lfs.", "a Git LFS pointer, not the image itself; fetch the images with git lfs pull"),
    (0, b"/annex/objects/", "a git-annex pointer, not the image itself; fetch the images with git annex get"),
    (0, b"%PDF", f"a PDF document; {CONVERT}"),
    (0, b"%!PS", f"an EPS or PostScript drawing, which isn't read; {CONVERT}"),
    (0, b"\xc5\xd0\xd3\xc6", f"an EPS drawing, which isn't read; {CONVERT}"),
    (0, b"\xd7\xcd\xc6\x9a", f"a WMF drawing, which isn't read; {CONVERT}"),
    (0, b"8BPS", f"a Photoshop file, which isn't read; {CONVERT}"),
    (0, b"\xff\x0a", f"a JPEG XL image, which isn't read; {CONVERT}"),
    (0, b"\0\0\0\x0cJXL ", f"a JPEG XL image, which isn't read; {CONVERT}"),
    (0, b"v/1\x01", f"an OpenEXR image, which isn't read; {CONVERT}"),
    (128, b"DICM", f"a DICOM file, which isn't read; {CONVERT}"),
    (0, b"SIMPLE  =", f"a FITS file, which isn't read; {CONVERT}"),
    (0, b"PK\x03\x04", "a ZIP archive; unpack it"),
    (0, b"Rar!", "a RAR archive; unpack it"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it"),
    (0, b"\x1f\x8b", "a gzip archive; unpack it"),
    (0, b"BZh", "a bzip2 archive; unpack it"),
    (0, b"\xfd7zXZ\0", "an xz archive; unpack it"),
    (0, b"\x28\xb5\x2f\xfd", "a Zstandard archive; unpack it"),
    (257, b"ustar", "a tar archive; unpack it"),
    (0, b"\x1a\x45\xdf\xa3", "a video (Matroska or WebM); extract its frames as images"),
    (8, b"AVI ", "a video (AVI); extract its frames as images"),
    (0, b"\0\0\x01\xba", "a video (MPEG); extract its frames as images"),
    (0, b"\0\0\x01\xb3", "a video (MPEG); extract its frames as images"),
    (0, b"FLV\x01", "a video (Flash); extract its frames as images"),
    (0, b"0&\xb2u\x8ef\xcf\x11", "a video (Windows Media); extract its frames as images"),
    (0, b"\0\x05\x16\x07", "macOS's metadata of another file (AppleDouble), not an image; delete it"),
    (0, b"\x93NUMPY", "a NumPy array, not an image"),
    (0, b"MATLAB ", "a MATLAB file, not an image"),
    (0, b"\x89HDF\r\n", "an HDF5 file, not an image"),
)
# The first bytes of formats that are read. A file that begins like this but isn't recognised is damaged, or of a rare variant.
_READ = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG": "PNG",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"RIFF": "WebP",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
}
# The first letters of the brands of files that consist of boxes (ISO 14496-12).
_BRANDS = {
    "heic": (b"hei", b"hev", b"mif1", b"msf1"),
    "avif": (b"avi",),
}
_BOXES = {
    "heic": f"a HEIC image from a phone, which isn't read; {CONVERT}",
    "avif": f"an AVIF image that is damaged, or that the installed Pillow can't read; {CONVERT}",
    "other": "a video (MP4 or QuickTime); extract its frames as images",
}
_MARKUP = (
    (("<!doctype html", "<html", "<head", "<body"), f"a web page, not the image itself; {AGAIN}"),
    (("<svg",), f"an SVG drawing, which isn't read; {CONVERT}"),
)


class BrokenImage(Exception):
    """An image file can't be read; the message says why, without the file's name."""


def missing_reason(path: Path) -> str:
    """Return text that says why ``path`` isn't a regular file, such as ``no such file``."""
    if path.is_symlink() and not path.exists():
        fetch = "; fetch the images with git annex get" if "annex" in path.readlink().parts else ""
        return f"a link to a file that doesn't exist{fetch}"
    return "not a regular file" if path.exists() else "no such file"


def unrecognised_reason(path: Path) -> str:
    """Return text that says what a file is that Pillow doesn't recognise as an image, judged by its first bytes."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    if not head:
        return f"an empty file; {AGAIN}"
    if not any(head):
        return f"a file that contains only zero bytes, perhaps from an interrupted copy; {AGAIN}"
    for place, mark, reason in _KINDS:
        if head.startswith(mark, place):
            return reason
    if head[4:8] == b"ftyp":
        return _BOXES[next((kind for kind, marks in _BRANDS.items() if head[8:12].startswith(marks)), "other")]
    if text := _as_text(head):
        beginning = text.lower()
        said = f"text, not an image: {quoted(text, 40)}; {AGAIN}"
        return next((reason for marks, reason in _MARKUP if any(mark in beginning for mark in marks)), said)
    for mark, name in _READ.items():
        if head.startswith(mark):
            return f"a damaged {name} image, or a variant of {name} that Pillow doesn't read; {AGAIN}, or {CONVERT}"
    return "not an image of a format that is read, or a damaged image"


def undecodable_reason(image_format: str | None, problem: Exception) -> str:
    """Return text that explains the error ``problem``, which Pillow raised for an image of ``image_format``."""
    # Only these errors have messages for users. Others describe internals of a decoder that reached the end of the file.
    words = " ".join(str(problem).split())[:120] if isinstance(problem, OSError | NotImplementedError) else ""
    detail, name = f" ({words})" if words else "", image_format or "image"
    if "support" in words.lower():
        return f"an image of a kind that Pillow doesn't read{detail}; {CONVERT}"
    return f"a truncated or damaged {name} file{detail}; {AGAIN}"


def _as_text(head: bytes) -> str:
    """Return the text in ``head``, the first bytes of a file; an empty string if they aren't text."""
    encodings = ("utf-16",) if head[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig",)
    for encoding in encodings:
        try:
            text = head.decode(encoding)
        except UnicodeDecodeError as problem:
            if problem.start < len(head) - 4:  # otherwise the last character is merely cut off
                return ""
            text = head[: problem.start].decode(encoding)
        if all(letter.isprintable() or letter.isspace() for letter in text):
            return text.strip()
    return ""
