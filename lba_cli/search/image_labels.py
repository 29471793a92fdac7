"""The identities and cameras of a gallery's images, from a CSV file as own data sets have it (``docs/data.md``)."""

from pathlib import Path

from lba_cli.data.samples import NO_CAMERA
from lba_cli.datasets.folder_csv import read_csv
from lba_cli.errors import DataError
from lba_cli.search.image_paths import absolute_path
from lba_cli.search.milvus_gallery import LONGEST_IDENTITY, Label


def read_labels(path: Path) -> dict[str, Label]:
    """Return the labels of the images that a CSV file lists, by absolute path. Its column ``split`` doesn't matter.

    Raises:
        DataError: the file can't be read, or is no such list.
    """
    images, _ = read_csv(path)
    for image in images:
        if len(image.identity.encode()) > LONGEST_IDENTITY:
            raise DataError(f"{image.place}: the identity has more than {LONGEST_IDENTITY} bytes")
    return {
        absolute_path(str(path.parent / image.path)): Label(
            image.identity, None if image.camera == NO_CAMERA else image.camera
        )
        for image in images
    }
