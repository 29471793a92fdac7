"""Identities and cameras for the images of a gallery, from a CSV file."""

import pytest
from fake_listener import Recorder

from lba_cli.errors import DataError
from lba_cli.reporting import Silent
from lba_cli.search.image_labels import read_labels
from lba_cli.search.milvus_gallery import Label


@pytest.fixture
def listed(tmp_path):
    """A list of two images, and the absolute paths of these and of a third one."""
    path = tmp_path / "photos.csv"
    path.write_text("path,identity,camera,modality,split\na.jpg,anna,3,visible,test\nb.jpg,ben,,visible,test\n")
    gallery = [tmp_path / name for name in ("a.jpg", "b.jpg", "c.jpg")]
    for image in gallery:
        image.touch()
    return path, list(map(str, gallery))


def test_every_listed_image_has_its_label(listed):
    path, (a, b, _) = listed
    listener = Recorder()
    assert read_labels(path, [a, b], listener) == {a: Label("anna", 3), b: Label("ben", None)}
    assert not listener.warnings


def test_without_a_list_no_image_has_a_label(listed):
    assert read_labels(None, listed[1], Silent()) == {}


def test_images_without_a_label_are_a_warning(listed):
    path, gallery = listed
    listener = Recorder()
    assert set(read_labels(path, gallery, listener)) == set(gallery[:2])
    (warning,) = listener.warnings
    assert warning == f"{path} lists 2 of 3 images; {gallery[2]}, for instance, is not in it"


def test_a_list_of_other_images_is_refused(listed):
    path, gallery = listed
    with pytest.raises(DataError, match=r"photos.csv lists none of the 1 images, for instance not .*c\.jpg"):
        read_labels(path, gallery[2:], Silent())
