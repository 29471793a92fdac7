"""Text files that come with data sets: lists of identities, and lists of images with their labels."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TypeVar

from lba_cli.datasets.misplaced import whereabouts
from lba_cli.errors import DataError, quoted
from lba_cli.files import MOST_TEXT, ZERO_BYTES, encoding_problem, read_text
from lba_cli.vocabulary import Split, plural

MOST_SHOWN = 20
LONGEST_LINE = 1000
Person = TypeVar("Person", int, str)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a list of images.

    Attributes:
        path: the image, relative to the data set's root, with forward slashes.
        label: the label of the person in the image.
        source, line: the path of the list, and the line number, from 1.
    """

    path: str
    label: int
    source: Path
    line: int

    @property
    def place(self) -> str:
        """The list's path and the line number, as ``PATH:LINE``."""
        return f"{self.source}:{self.line}"

    @property
    def short_place(self) -> str:
        """The list's file name and the line number, as ``NAME:LINE``."""
        return f"{self.source.name}:{self.line}"


def read_lines(path: Path, purpose: str, most: int = MOST_TEXT) -> list[str]:
    """Return the lines of a text file of at most ``most`` bytes, without spaces around lines and empty lines at the end.

    If the file is missing, the error message ends with ``purpose``. Lines may end as on Unix, Windows or old Macs. For the
    encodings see :func:`~lba_cli.files.read_text`.

    Raises:
        DataError: the file is missing, can't be read, or isn't text.
    """
    try:
        text = read_text(path, most)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; {purpose}") from None
    except UnicodeDecodeError as problem:
        raise DataError(f"{path}: {encoding_problem(problem)}") from None
    except OSError as problem:
        raise DataError(f"{path}: {problem.strerror}") from problem
    if "\0" in text:
        raise DataError(f"{path}: {ZERO_BYTES}")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").rstrip().split("\n")
    return [line.strip() for line in lines] if text.strip() else []


def read_identities(path: Path) -> Iterator[tuple[int, int]]:
    """Yield (line number, identity) from a file of comma-separated identities; blank lines are skipped.

    Raises:
        DataError: the file is missing or empty, or a word isn't an identity.
    """
    lines = read_lines(path, "the data set's list of identities should be there")
    if not lines:
        raise DataError(f"{path}:1: empty; expected comma-separated identities such as 1,2,4")
    for number, line in enumerate(lines, start=1):
        for word in map(str.strip, line.rstrip(", \t").split(",") if line else ()):
            if not (word.isascii() and word.isdecimal() and len(word) < 9 and int(word) < 10_000):
                raise DataError(f"{path}:{number}: '{word[:40]}' is not an identity (0 to 9999, comma-separated)")
            yield number, int(word)


def read_split(
    lists: Iterable[tuple[Path, Split]], read: Callable[[Path], Iterable[tuple[int, Person]]]
) -> dict[Person, tuple[Split, str]]:
    """Return {identity: (split, the line that lists the identity, such as ``train_id.txt:1``)}.

    ``lists`` holds pairs of a list and its split. ``read`` yields (line number, identity) for each identity of a list.

    Raises:
        DataError: an identity is listed twice, or a list can't be read.
    """
    found: dict[Person, tuple[Split, str]] = {}
    for path, split in lists:
        for line, identity in read(path):
            if identity in found:
                raise DataError(f"{path}:{line}: identity {identity!r} is already in {found[identity][1]}")
            found[identity] = split, f"{path.name}:{line}"
    return found


def read_image_list(root: Path, name: str) -> list[Entry]:
    """Read the list of images ``root / name``: one ``relative/path.bmp LABEL`` per line; blank lines are skipped.

    Whether the images exist is checked by :func:`require_images`.

    Raises:
        DataError: the list is missing or empty, a line isn't a path and a label, a path leads out of the root, or an
            image is listed twice.
    """
    source = root / name
    lines = read_lines(source, "the data set's list of images should be there")
    if not lines:
        raise DataError(f"{source}:1: empty; expected lines such as path/to/image.bmp 0")
    entries: dict[str, Entry] = {}
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        entry = _entry(line, source, number)
        earlier = entries.setdefault(entry.path, entry)
        if earlier is not entry:
            raise DataError(f"{entry.place}: {entry.path} is already in {earlier.short_place}")
    return list(entries.values())


def require_images(root: Path, entries: Iterable[Entry]) -> None:
    """Raise a DataError if listed images don't exist below ``root``.

    The message says where images were found instead, and has a line for each image that wasn't found. This line also names the
    first list that contains the image.
    """
    first: dict[str, Entry] = {}
    for entry in entries:
        first.setdefault(entry.path, entry)
    missing = [path for path in first if not (root / path).is_file()]
    if missing:
        hint, lost = whereabouts(root, missing)
        lines = [f"  {root / path} ({first[path].short_place})" for path in lost]
        rest = "\n".join(["add the missing images:", *lines]) if lost else ""
        counts = f"{len(missing)} of {len(first)} listed images {plural(len(missing), 'is', 'are')} missing"
        raise DataError(f"{root}: {counts}; {hint}{rest}".rstrip())


def require_consistent_labels(entries: Iterable[Entry], person_of: Callable[[Entry], Person | None], noun: str) -> None:
    """Raise a DataError if a label stands for two people, or a person has two labels.

    ``person_of`` returns the person that an image's folder names, or None. ``noun`` is the word for a person in messages.
    """
    by_label: dict[int, tuple[Person, Entry]] = {}
    by_person: dict[Person, Entry] = {}
    for entry in entries:
        person = person_of(entry)
        if person is None:
            continue
        other, same_label = by_label.setdefault(entry.label, (person, entry))
        same_person = by_person.setdefault(person, entry)
        if other != person:
            raise DataError(
                f"{entry.place}: label {entry.label} is {noun} {person} here, and {noun} {other} in {same_label.short_place}"
            )
        if same_person.label != entry.label:
            raise DataError(
                f"{entry.place}: {noun} {person} has label {entry.label} here, and label {same_person.label} in "
                f"{same_person.short_place}"
            )


def shortened(items: Sequence[object], most: int = MOST_SHOWN) -> str:
    """Return text with the first ``most`` items and the number of further items."""
    shown = ", ".join(str(item) for item in items[:most])
    return shown + (f" and {len(items) - most} more" if len(items) > most else "")


def inner_path(path: str, place: str) -> str:
    """Return a listed path in its shortest form; ``place`` is the list and the line, for messages.

    Raises:
        DataError: the path has backslashes, is absolute, or leads out of the root.
    """
    pure = PurePosixPath(path)
    if "\\" in path or "\0" in path:
        raise DataError(f"{place}: {quoted(path)}: paths must use forward slashes; replace every \\ with /")
    if pure.is_absolute() or ".." in pure.parts or PureWindowsPath(path).drive:
        raise DataError(f"{place}: {quoted(path)} leads out of the data set; paths are relative to its root")
    return str(pure)


def _entry(line: str, source: Path, number: int) -> Entry:
    place = f"{source}:{number}"
    words = line.rsplit(maxsplit=1)
    if len(words) < 2 or len(line) > LONGEST_LINE:
        raise DataError(f"{place}: '{line[:80]}' is not an image's path and a label")
    path, label = words
    if not (label.isascii() and label.isdecimal() and len(label) < 9):
        raise DataError(f"{place}: '{label[:40]}' is not a label (a whole number, 0 or more)")
    return Entry(inner_path(path, place), int(label), source, number)
