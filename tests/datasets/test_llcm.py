"""Reading LLCM: training lists, test folders, cameras."""

import shutil

import pytest
import small_setup
from fake_dataset import MadeImages

from lba_cli.data.samples import NO_CAMERA
from lba_cli.datasets import Setting
from lba_cli.datasets.llcm import LLCM, camera_of, read_llcm
from lba_cli.errors import DataError


@pytest.fixture
def copy(hollow):
    return hollow("llcm")


def refused(root, *words):
    return small_setup.refused(lambda: read_llcm(root), *words)


def append(root, name, line):
    path = root / "idx" / name
    path.write_text(path.read_text() + f"{line}\n")
    return path, len(path.read_text().splitlines())


def test_samples_follow_lists_and_folders(trees):
    listing = read_llcm(trees["llcm"])
    assert (listing.dataset, listing.notes) == ("llcm", ())
    for sample in listing.samples:
        folder, *_, name = sample.path.split("/")
        assert folder in {"visible": ("vis", "test_vis"), "infrared": ("nir", "test_nir")}[sample.modality]
        assert folder.startswith("test") == (sample.split == "test")
        assert f"_c{sample.camera:02d}_" in name
        if sample.split == "test":
            assert sample.path.split("/")[1:3] == [f"cam{sample.camera}", f"{sample.identity:04d}"]
    lines = (trees["llcm"] / "idx" / "train_nir.txt").read_text().splitlines()
    assert {(s.path, s.identity) for s in listing.samples if (s.split, s.modality) == ("train", "infrared")} == {
        (path, int(label)) for path, label in map(str.split, lines)
    }


def test_real_data_are_called_llcm(copy):
    (copy / "synthetic.json").unlink()
    assert read_llcm(copy).name == "LLCM"


@pytest.mark.parametrize(
    ("path", "camera"),
    [
        ("vis/0001/0001_c3_x.jpg", 3),
        ("vis/0001/0001_C3.JPG", 3),
        ("vis/cam7/0001/0001_c3_x.jpg", 7),
        ("vis/0001/0001_c12s1_x.jpg", 12),
        ("vis/0001/0001_c0_x.jpg", 0),
        ("vis/0001/0001_x.jpg", NO_CAMERA),
        ("vis/camera/0001_cx.jpg", NO_CAMERA),
        ("x_c4.jpg", 4),
    ],
)
def test_cameras_of_training_images(path, camera):
    assert camera_of(path) == camera


def test_everything_missing_is_named(tmp_path, copy):
    refused(
        tmp_path / "no" / "such" / "place", "no such folder", "LLCM should be there (idx/", "--layout llcm --output"
    )
    (copy / "idx" / "train_nir.txt").unlink()
    (copy / "idx" / "test_id.txt").unlink()
    shutil.rmtree(copy / "test_nir" / "cam5")
    refused(copy, "incomplete copy; missing: test_nir/cam5, idx/train_nir.txt, idx/test_id.txt.")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("vis/0001/x.jpg", "is not an image's path and a label"),
        ("vis/0001/x.jpg A", "'A' is not a label"),
        ("/vis/0001/x.jpg 0", "leads out of the data set"),
        ("vis/../../x.jpg 0", "leads out of the data set"),
        ("vis\\0001\\x.jpg 0", "forward slashes"),
        ("vis/0003/x.jpg 0", "label 0 is identity 3 here, and identity 1 in train_vis.txt:1"),
        ("vis/0001/x.jpg 99", "identity 1 has label 99 here, and label 0 in train_vis.txt:1"),
        (
            "nir/0001/x.jpg 0",
            "lies in a folder of infrared images, but this is the list of visible images; are idx/train_vis.txt and",
        ),
        ("test_NIR/cam1/x.jpg 0", "lies in a folder of infrared images"),
    ],
)
def test_malformed_lines_are_refused(copy, line, message):
    path, number = append(copy, "train_vis.txt", line)
    refused(copy, f"{path}:{number}: ", message)


def test_swapped_lists_are_refused(copy):
    visible, infrared = (copy / "idx" / f"train_{kind}.txt" for kind in ("vis", "nir"))
    texts = visible.read_text(), infrared.read_text()
    visible.write_text(texts[1])
    infrared.write_text(texts[0])
    refused(copy, f"{visible}:1: nir/0001/", "lies in a folder of infrared images", "train_nir.txt swapped?")


def test_labels_that_differ_between_the_modalities_are_refused(copy):
    path = copy / "idx" / "train_nir.txt"
    rows = [(image, (int(label) + 1) % 12) for image, label in map(str.split, path.read_text().splitlines())]
    path.write_text("".join(f"{image} {label}\n" for image, label in rows))
    refused(copy, f"{path}:1: label 1 is identity 1 here, and identity 2 in train_vis.txt:")


def test_a_folder_that_names_both_modalities_or_none_is_accepted_in_either_list(copy):
    for number, folder in enumerate(("vis_and_nir", "nir/vis", "environment", "advise")):
        (copy / folder).mkdir(parents=True)
        (copy / folder / "x.jpg").touch()
        append(copy, "train_vis.txt", f"{folder}/x.jpg {number}")
    assert sum(sample.path.endswith("/x.jpg") for sample in read_llcm(copy).samples) == 4


def test_labels_in_one_list_only_are_reported(copy):
    path = copy / "idx" / "train_nir.txt"
    path.write_text("".join(f"{line}\n" for line in path.read_text().splitlines() if not line.endswith(" 4")))
    assert (
        "1 label is in only one of idx/train_vis.txt and idx/train_nir.txt, so that training needs data.skip_incomplete=true: 4"
    ) in read_llcm(copy).notes


def test_an_image_in_both_splits_is_refused(copy):
    image = sorted((copy / "test_vis" / "cam1" / "0003").iterdir())[0].relative_to(copy).as_posix()
    path, number = append(copy, "train_vis.txt", f"{image} 50")
    refused(copy, f"{path}:{number}: {image} is a test image as well")


def test_training_folders_with_numbers_of_test_identities_are_reported(copy):
    (copy / "idx" / "test_id.txt").write_text("0,3,6,9,12,15,1,2\n")
    assert read_llcm(copy).notes == (
        "2 folders of training images have the same number as a test identity; if both are the same person, the figures are "
        "inflated: 1, 2",
        "2 identities of idx/test_id.txt have no images: 1, 2",
    )


@pytest.mark.parametrize("folder", ["test_vis", "test_nir"])
def test_a_missing_modality_of_the_test_split_is_reported(copy, folder):
    for image in (copy / folder).glob("*/*/*.jpg"):
        image.unlink()
    assert f"{folder} has no image of a test identity: evaluation is impossible" in read_llcm(copy).notes


def test_an_image_that_is_listed_twice_is_refused(copy):
    first = (copy / "idx" / "train_vis.txt").read_text().splitlines()[0]
    path, number = append(copy, "train_vis.txt", first)
    refused(copy, f"{path}:{number}: ", "is already in train_vis.txt:1")
    lines = path.read_text().splitlines()[:-1]
    path.write_text("\n".join(lines))
    other, number = append(copy, "train_nir.txt", first)
    refused(copy, f"{other}:{number}: ", "is listed as visible in train_vis.txt:1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "test_id.txt:1: empty"),
        ("3,6,x", "test_id.txt:1: 'x' is not an identity"),
        ("3,6,3", "test_id.txt:1: identity 3 is already in test_id.txt:1"),
        ("500", "none of the identities in idx/test_id.txt has an image"),
    ],
)
def test_malformed_test_identities_are_refused(copy, text, message):
    (copy / "idx" / "test_id.txt").write_text(text)
    refused(copy, message)


def test_labels_may_have_gaps_and_folders_may_have_any_name(copy):
    for name in ("train_vis.txt", "train_nir.txt"):
        path = copy / "idx" / name
        path.write_text(
            "".join(f"{image} {7 * int(label) + 3}\n" for image, label in map(str.split, path.read_text().splitlines()))
        )
    (copy / "vis" / "no camera.JPG").touch()
    append(copy, "train_vis.txt", "vis/no camera.JPG 3")
    samples = read_llcm(copy).samples
    assert {s.identity for s in samples if s.split == "train"} == {7 * label + 3 for label in range(12)}
    assert next(s for s in samples if s.path.endswith("JPG")).camera == NO_CAMERA


def test_each_missing_image_is_named_on_a_line_of_its_own(copy):
    images = sorted((copy / "nir" / "0001").glob("*.jpg"))[:2]
    for image in images:
        image.unlink()
    with pytest.raises(DataError, match="2 of 219 listed images are missing; add the missing images:") as caught:
        read_llcm(copy)
    assert str(caught.value).splitlines()[1:] == [
        f"  {image} (train_nir.txt:{line})" for line, image in enumerate(images, 1)
    ]


def test_ignored_files_and_identities_without_images_are_reported(copy):
    (copy / "test_vis" / "cam1" / "0003" / "Thumbs.db").touch()
    (copy / "test_nir" / "cam2" / "notes.txt").touch()
    (copy / "vis" / "0001" / ".DS_Store").touch()
    (copy / "idx" / "test_id.txt").write_text("0,3,6,9,12,15,700\r\n")
    assert read_llcm(copy).notes == (
        "2 files that are not images of an identity were ignored",
        "1 file that is in no list was ignored",
        "1 identity of idx/test_id.txt has no images: 700",
    )


def test_file_endings_may_be_in_upper_case(copy):
    image = next((copy / "test_vis").glob("*/*/*.jpg"))
    image.rename(image.with_suffix(".JPG"))
    assert any(s.path.endswith(".JPG") for s in read_llcm(copy).samples)


def test_identity_0_is_a_person(trees):
    """The list of test identities that comes with the real data set begins with 0000."""
    assert (trees["llcm"] / "idx" / "test_id.txt").read_text().startswith("0000,0003,")
    listing = read_llcm(trees["llcm"])
    for setting in (Setting(mode, "single", "community") for mode in LLCM.modes):
        for draw in LLCM.draw(MadeImages(listing.samples, "llcm"), setting):
            for indices in (draw.queries, draw.gallery):
                assert {listing.samples[i].identity for i in indices} == {0, 3, 6, 9, 12, 15}


def test_the_second_copies_of_test_images_are_no_strays(copy):
    wanted = read_llcm(copy)
    copies = [line.split()[0] for name in ("test_vis", "test_nir") for line in (copy / f"idx/{name}.txt").open()]
    assert len(copies) == sum(sample.split == "test" for sample in wanted.samples)
    assert all((copy / name).is_file() for name in copies)
    assert wanted.notes == ()
    (copy / copies[0]).unlink()  # they may be removed
    assert read_llcm(copy) == wanted
    for name in ("test_vis", "test_nir"):
        (copy / "idx" / f"{name}.txt").unlink()
    assert read_llcm(copy).samples == wanted.samples
    assert read_llcm(copy).notes == (f"{len(copies) - 1} files that are in no list were ignored",)


def test_a_training_image_among_the_second_copies_is_refused(copy):
    image = (copy / "idx" / "test_nir.txt").read_text().split()[0]
    path, number = append(copy, "train_nir.txt", f"{image} 50")
    refused(copy, f"{path}:{number}: {image} is a test image as well, see idx/test_nir.txt")


def test_test_folders_of_unlisted_identities_are_reported(copy):
    (copy / "idx" / "test_id.txt").write_text("0000,6\n9,12")
    listing = read_llcm(copy)
    assert {s.identity for s in listing.samples if s.split == "test"} == {0, 6, 9, 12}
    assert listing.notes == ("2 identities of the test folders are not in idx/test_id.txt and are left out: 3, 15",)
