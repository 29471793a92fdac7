"""The identities and cameras of a gallery's images, from a CSV file as own data sets have it (``docs/data.md``)."""

from collections.abc import Sequence
from pathlib import Path

from lba_cli.data.samples import NO_CAMERA
from lba_cli.datasets.folder_csv import read_csv
from lba_cli.errors import DataError
from lba_cli.reporting import Listener
from lba_cli.search.image_paths import absolute_path
from lba_cli.search.milvus_gallery import LONGEST_IDENTITY, Label


def read_labels(path: Path | None, gallery: Sequence[str], listener: Listener) -> dict[str, Label]:
    """Return the labels of the images that a CSV file lists, by absolute path. Its column ``split`` doesn't matter.

    The listener is warned of gallery images without a label.

    Args:
        path: the file; without one, no image has a label.
        gallery: the absolute paths of the gallery's images.

    Raises:
        DataError: the file can't be read, is no such list, or lists none of the gallery's images.
    """
    if path is None:
        return {}
    images, _ = read_csv(path)
    for image in images:
        if len(image.identity.encode()) > LONGEST_IDENTITY:
            raise DataError(f"{image.place}: the identity has more than {LONGEST_IDENTITY} bytes")
    labels = {
        absolute_path(str(path.parent / image.path)): Label(
            image.identity, None if image.camera == NO_CAMERA else image.camera
        )
        for image in images
    }
    missing = [image for image in gallery if image not in labels]
    if len(missing) == len(gallery):
        raise DataError(
            f"{path} lists none of the {len(gallery)} images, for instance not {missing[0]}; its paths count from its own folder"
        )
    if missing:
        listener.warn(
            f"{path} lists {len(gallery) - len(missing)} of {len(gallery)} images; {missing[0]}, for instance, is not in it"
        )
    return labels
