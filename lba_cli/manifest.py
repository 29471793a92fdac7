"""The common parts of the manifests of stores and indexes: strict models, format versions, file sizes and checksums.

A manifest is the file ``manifest.json`` of a folder; it says what the folder holds and lists its other files.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lba_cli.errors import LbaError, is_resource_error, quoted
from lba_cli.files import read_text

MANIFEST = "manifest.json"
DIGEST_LENGTH = (
    16  # hexadecimal digits of a short digest; two of a million digests are equal with a probability of 3e-8
)


class StrictModel(BaseModel):
    """An immutable record that rejects unknown keys and values of another type."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class FileRecord(StrictModel):
    """A file's size and SHA-256 when it was written; ``sha256`` is None if its parts have checksums of their own."""

    bytes: int = Field(ge=0)
    sha256: str | None


Content = TypeVar("Content", bound=StrictModel)


@dataclass(frozen=True)
class ManifestKind(Generic[Content]):
    """A kind of folder with a manifest, and how its problems are reported.

    Attributes:
        content: the manifest's model. A manifest is accepted only if its ``format`` and ``version`` are the defaults of these fields.
        noun, remedy: the word for such a folder in messages, such as "an index", and what to do if it is damaged.
        error: the exception that reports a problem.
        most_bytes: the largest size of a manifest.
    """

    content: type[Content]
    noun: str
    remedy: str
    error: type[LbaError]
    most_bytes: int

    def read(self, folder: Path) -> Content:
        """Read a folder's manifest; raises ``error`` if it is missing, damaged, or of another format or version."""
        path = folder / MANIFEST
        try:
            text = read_text(path, self.most_bytes)
            self._require_version(folder, json.loads(text))
            return self.content.model_validate_json(text)
        except ValidationError as problem:
            first = problem.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the manifest"
            raise self.error(f"{path}: damaged ({where:.80}: {first['msg']}); {self.remedy}") from problem
        except (OSError, ValueError, RecursionError) as problem:
            if is_resource_error(problem):
                raise
            reason = getattr(problem, "strerror", None) or "not JSON"
            raise self.error(f"{path}: damaged ({reason}); {self.remedy}") from problem

    def _require_version(self, folder: Path, content: object) -> None:
        format_name, version = (self.content.model_fields[field].default for field in ("format", "version"))
        if not isinstance(content, dict) or content.get("format") != format_name:
            raise self.error(f"{folder}: its {MANIFEST} does not describe {self.noun}; name another folder")
        if content.get("version") != version:
            raise self.error(
                f"{folder}: {self.noun} of format version {quoted(content.get('version'), 20)}, but this lba "
                f"release reads version {version}: {self.remedy}"
            )

    def require_file(self, path: Path, record: FileRecord, *, checksum: bool) -> None:
        """Raise ``error`` if a file is missing, truncated or changed; its content is compared only if ``checksum`` is true."""
        if not path.is_file():
            raise self.error(f"{path}: missing; {self.remedy}")
        size = path.stat().st_size
        if size != record.bytes:
            raise self.error(f"{path}: damaged: its size is {size:,} bytes, not {record.bytes:,}; {self.remedy}")
        if checksum and record.sha256 and sha256_of(path) != record.sha256:
            raise self.error(f"{path}: damaged: changed since it was written; {self.remedy}")


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_digest(path: Path) -> str:
    """Return the first 16 hexadecimal digits of a file's SHA-256, which identify equal images."""
    return sha256_of(path)[:DIGEST_LENGTH]
