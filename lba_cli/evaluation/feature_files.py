"""Files of features: a NumPy ``.npz`` of plain arrays, so that the protocols can score the features of any program.

Arrays have n rows for n test images:

- ``features`` (n, D) floats, ``identities`` (n,) integers, ``modalities`` (n,) text, ``visible`` or ``infrared``.
- ``cameras`` (n,) integers, -1 if unknown; SYSU-MM01 and LLCM need them.
- ``paths`` (n,) text, distinct. Galleries are drawn from the images of each identity and camera, sorted by path. Without
  paths, the images stay in the order of the rows.

These scalars are optional: ``dataset``, the data set whose protocol is used (sysu, regdb, llcm or folder); ``name``, the data
set's name in tables; ``trial``, the trial of RegDB; ``trained_on``; and ``note``, a remark for readers of the results. No
pickled objects are loaded, and every array's header is checked before any array is read.
"""

import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lba_cli.data.samples import NO_CAMERA, Sample
from lba_cli.datasets import DATASETS, EvaluationSet, get_dataset
from lba_cli.errors import DataError
from lba_cli.evaluation.embedding import Embeddings
from lba_cli.files import whole_file
from lba_cli.vocabulary import MODALITIES

Arrays = Mapping[str, NDArray[Any]]

MOST_ROWS, MOST_COLUMNS, MOST_BYTES = 1_000_000, 65_536, 8 * 1024**3
ROWS_AT_ONCE = 4096
LONGEST_WORD, LARGEST_INTEGER = 1024, 2**31
# Features don't compress well: an array above SMALL_BYTES that is compressed more than MOST_COMPRESSION-fold is refused.
MOST_COMPRESSION, SMALL_BYTES = 100, 64 * 1024**2
UNIT_TOLERANCE = 1e-5


class _ArrayRule(NamedTuple):
    """The rule for an array: the kinds of its values, as NumPy's letters and in words, and the number of its dimensions."""

    kinds: str
    dimensions: int
    required: bool = False
    words: str = "integers"


ARRAYS = {
    "features": _ArrayRule("f", 2, True, "floating-point numbers"),
    "identities": _ArrayRule("iu", 1, True),
    "modalities": _ArrayRule("U", 1, True, "words"),
    "cameras": _ArrayRule("iu", 1),
    "paths": _ArrayRule("U", 1, words="words"),
    "dataset": _ArrayRule("U", 0, words="a word"),
    "name": _ArrayRule("U", 0, words="a word"),
    "trial": _ArrayRule("iu", 0, words="an integer"),
    "trained_on": _ArrayRule("U", 0, words="a word"),
    "note": _ArrayRule("U", 0, words="text"),
}


@dataclass
class FeatureSet:
    """The test images of a data set with the features from a file; it is an :class:`lba_cli.datasets.EvaluationSet`."""

    name: str
    dataset: str
    trial: int
    samples: tuple[Sample, ...]
    embeddings: Embeddings
    trained_on: str = ""
    permutations: Path | None = None
    note: str = ""
    norms: tuple[float, float] = (1.0, 1.0)  # the smallest and the largest L2 norm of a row in the file


def write_features(
    path: Path,
    source: EvaluationSet,
    indices: Iterable[int],
    embeddings: Embeddings,
    *,
    trained_on: str = "",
    note: str = "",
) -> None:
    """Write the embeddings and the labels of the samples at ``indices`` to a file, atomically."""
    chosen = list(indices)
    samples = [source.samples[index] for index in chosen]
    with whole_file(path) as partial, partial.open("wb") as file:
        np.savez(
            file,
            features=embeddings.of(chosen),
            identities=np.asarray([s.identity for s in samples], np.int64),
            modalities=np.asarray([s.modality for s in samples]),
            cameras=np.asarray([s.camera for s in samples], np.int64),
            paths=np.asarray([s.path for s in samples]),
            dataset=np.asarray(source.dataset),
            name=np.asarray(source.name),
            trial=np.asarray(source.trial),
            trained_on=np.asarray(trained_on),
            note=np.asarray(note[:LONGEST_WORD]),
        )


def read_features(path: Path, dataset: str | None = None, *, normalize: bool = True) -> FeatureSet:
    """Read and check a ``.npz`` of features, and scale them to unit length, unless ``normalize`` is false.

    ``dataset`` is the data set whose protocol is used; if None, the file names it.

    Raises:
        DataError: the file isn't such a ``.npz``, holds Python objects, is too large, or its arrays don't fit each other.
    """
    arrays = _read_arrays(path)
    if dataset is None:
        dataset = _stored_dataset(path, arrays)
    samples = _samples(path, arrays)
    _require_cameras(path, dataset, samples)
    norms = _norms(path, arrays["features"], zero_allowed=not normalize)
    return FeatureSet(
        name=_words(arrays, "name") or path.stem,
        dataset=dataset,
        trial=int(arrays.get("trial", np.asarray(0))),
        samples=samples,
        embeddings=Embeddings(
            np.arange(len(samples)), _scaled(arrays["features"], norms if normalize else np.ones_like(norms))
        ),
        norms=(float(norms.min()), float(norms.max())),
        trained_on=_words(arrays, "trained_on"),
        note=_words(arrays, "note"),
    )


def _read_arrays(path: Path) -> Arrays:
    if not path.is_file():
        raise DataError(f"{path}: {'not a regular file' if path.exists() else 'no such file'}")
    try:
        with zipfile.ZipFile(path) as archive:
            entries = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}
            for name in [name for name, rule in ARRAYS.items() if rule.required and name not in entries]:
                raise DataError(f"{path}: the array '{name}' is missing; see lba evaluate --help")
            known = {name: entry for name, entry in entries.items() if name in ARRAYS}
            shapes = {name: _check_header(path, archive, name, entry) for name, entry in known.items()}
            _require_one_length(path, shapes)
            arrays = {}
            for name, entry in known.items():
                with archive.open(entry) as file:
                    arrays[name] = np.lib.format.read_array(file, allow_pickle=False)
            return arrays
    except DataError:
        raise
    except Exception as problem:  # zipfile, zlib and NumPy raise many kinds for damaged files
        reason = f"{type(problem).__name__}: {' '.join(str(problem).split()):.120}"
        raise DataError(f"{path}: damaged or not a .npz of arrays ({reason})") from problem


def _check_header(path: Path, archive: zipfile.ZipFile, name: str, entry: zipfile.ZipInfo) -> tuple[int, ...]:
    """Read an array's shape from its header. Raises DataError if the header doesn't fit the array's rule or length."""
    rule = ARRAYS[name]
    if entry.file_size > MOST_BYTES:
        raise DataError(
            f"{path}: '{name}' would unpack to {entry.file_size:,} bytes; at most {MOST_BYTES:,} are allowed"
        )
    if entry.file_size > max(SMALL_BYTES, MOST_COMPRESSION * entry.compress_size):
        raise DataError(
            f"{path}: '{name}' would unpack from {entry.compress_size:,} to {entry.file_size:,} bytes, which is refused as "
            "implausible: save the file without compression (numpy.savez)"
        )
    with archive.open(entry) as file:
        version = np.lib.format.read_magic(file)
        reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = reader(file)
        start = file.tell()
    if dtype.hasobject:
        raise DataError(f"{path}: '{name}' holds Python objects, which are never loaded; save plain arrays")
    if dtype.kind not in rule.kinds or len(shape) != rule.dimensions:
        wanted = f"{rule.words}, {rule.dimensions}-dimensional" if rule.dimensions else rule.words
        raise DataError(f"{path}: '{name}' should be {wanted}, not {dtype} of shape {shape}")
    if dtype.kind == "U" and dtype.itemsize > 4 * LONGEST_WORD:
        length = dtype.itemsize // 4
        raise DataError(f"{path}: '{name}' has text of up to {length} characters; {LONGEST_WORD} are allowed")
    if any(size > limit for size, limit in zip(shape, (MOST_ROWS, MOST_COLUMNS), strict=False)):
        most = f"at most {MOST_ROWS} rows and {MOST_COLUMNS} columns are allowed"
        raise DataError(f"{path}: '{name}' of shape {shape} is too large; {most}")
    if entry.file_size != start + int(np.prod(shape, dtype=object)) * dtype.itemsize:
        raise DataError(f"{path}: damaged: '{name}' is not as long as its header says")
    return shape


def _require_one_length(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> None:
    rows, columns = shapes["features"]
    if not rows or not columns:
        raise DataError(f"{path}: 'features' of shape {shapes['features']} is empty")
    for name, shape in shapes.items():
        if shape and shape[0] != rows:
            raise DataError(f"{path}: '{name}' has {shape[0]} rows, 'features' has {rows}")


def _stored_dataset(path: Path, arrays: Arrays) -> str:
    stored = str(arrays.get("dataset", ""))
    if stored in DATASETS:
        return stored
    says = f"the data set {stored[:40]!r} is unknown" if stored else "doesn't name the data set whose protocol is used"
    raise DataError(f"{path}: {says}; choose a protocol with --protocol-of ({', '.join(DATASETS)})")


def _words(arrays: Arrays, name: str) -> str:
    """Return the scalar ``name`` as text on one printable line; empty if it is missing."""
    return "".join(letter if letter.isprintable() else " " for letter in str(arrays.get(name, "")))


def _samples(path: Path, arrays: Arrays) -> tuple[Sample, ...]:
    rows = len(arrays["features"])
    paths = arrays["paths"].tolist() if "paths" in arrays else [f"row {row:09d}" for row in range(rows)]
    if len(set(paths)) < rows:
        raise DataError(f"{path}: 'paths' names an image twice")
    cameras = arrays["cameras"].tolist() if "cameras" in arrays else [NO_CAMERA] * rows
    modalities = arrays["modalities"].tolist()
    for row, modality in enumerate(modalities):
        if modality not in MODALITIES:
            raise DataError(f"{path}: 'modalities', row {row}: {modality[:40]!r} is neither visible nor infrared")
    for name, least in (("identities", 0), ("cameras", NO_CAMERA), ("trial", 0)):
        if name in arrays and (arrays[name].max() >= LARGEST_INTEGER or arrays[name].min() < least):
            raise DataError(f"{path}: '{name}' should be between {least} and {LARGEST_INTEGER - 1}")
    columns = (paths, arrays["identities"].tolist(), cameras, modalities)
    return tuple(Sample(*values, split="test") for values in zip(*columns, strict=True))


def _require_cameras(path: Path, dataset: str, samples: Iterable[Sample]) -> None:
    """Raise a DataError if the cameras don't fit the protocol of ``dataset``."""
    spec = get_dataset(dataset)
    for row, sample in enumerate(samples):
        if spec.needs_cameras and sample.camera <= 0:
            raise DataError(f"{path}: 'cameras', row {row}: {spec.title}'s protocol needs every image's camera")
        if problem := spec.check_sample(sample):
            raise DataError(f"{path}: 'cameras', row {row}: {problem}")


def _scaled(features: NDArray[np.floating], norms: NDArray[np.float64]) -> NDArray[np.floating]:
    """Divide rows by their (n, 1) norms, in float64. A row whose norm is nearly 1 is left exactly unchanged."""
    divisors = np.where(abs(norms - 1) < UNIT_TOLERANCE, 1, norms)
    if (divisors == 1).all() and features.dtype in (np.float32, np.float64):
        return features
    return features.astype(np.float64) / divisors


def _norms(path: Path, features: NDArray[np.floating], *, zero_allowed: bool) -> NDArray[np.float64]:
    """Return the (n, 1) float64 norms of the rows. Raises DataError for values that aren't finite, and for unwanted zeros."""
    norms = np.empty((len(features), 1))
    for start in range(0, len(features), ROWS_AT_ONCE):
        part = features[start : start + ROWS_AT_ONCE].astype(np.float64)
        if not np.isfinite(part).all():
            row = start + int(np.flatnonzero(~np.isfinite(part).all(axis=1))[0])
            raise DataError(f"{path}: 'features', row {row}: a value is not finite")
        norms[start : start + len(part)] = np.linalg.norm(part, axis=1, keepdims=True)
    if not (zero_allowed or norms.all()):
        raise DataError(
            f"{path}: 'features', row {int(np.argmin(norms))}: all values are zero, so the row has no direction"
        )
    return norms
