"""Own images in folders that people have arranged in ways of their own: what is read, and the reason where it is not."""

import pytest
from small_setup import refused

from lba_cli.data.samples import NO_CAMERA
from lba_cli.datasets.folder import FOLDER, read_folder
from lba_cli.datasets.folder_split import FolderOptions
from lba_cli.datasets.spec import Setting
from lba_cli.errors import DataError

MODALITIES = ("visible", "infrared")


def each(template, names="abcd", modalities=MODALITIES):
    """The paths that a template such as ``{m}/{i}/1.png`` stands for."""
    return [template.format(m=modality, i=name) for modality in modalities for name in names]


def identities(root):
    return {sample.path: sample.identity for sample in read_folder(root).samples}


def test_images_directly_in_a_modality_are_counted_and_the_pattern_that_reads_them_is_named(files):
    root = files(*each("{m}/{i}_c1_1.png"))
    message = refused(
        lambda: read_folder(root), "8 images lie directly in visible/ or infrared/ (such as visible/a_c1_1.png)"
    )
    pattern = message.rsplit("data.pattern=", 1)[1].rstrip("'")
    listing = read_folder(root, FolderOptions(pattern=pattern))
    assert {(sample.path, sample.camera) for sample in listing.samples} == {
        (path, 1) for path in each("{m}/{i}_c1_1.png")
    }
    assert len({sample.identity for sample in listing.samples}) == 4


@pytest.mark.parametrize("name", ["0001_c1s1_000151_01.jpg", "anna_17.png"])
def test_the_named_pattern_reads_other_names_too(files, name):
    root = files(*(f"{modality}/{name}" for modality in MODALITIES))
    pattern = refused(lambda: read_folder(root), "2 images lie directly").rsplit("data.pattern=", 1)[1].rstrip("'")
    assert len(read_folder(root, FolderOptions(pattern=pattern)).samples) == 2


def test_loose_images_beside_people_are_left_out_with_a_note(files):
    listing = read_folder(files(*each("{m}/{i}/1.png"), "visible/loose.png"))
    assert len(listing.samples) == 8
    assert listing.notes[0].startswith("1 image lies directly in visible/ or infrared/ (such as visible/loose.png)")


def test_folders_below_a_person_are_read_with_a_note(files):
    root = files(*each("{m}/{i}/monday/1_c2.png"), *each("{m}/{i}/2_c3.png"))
    listing = read_folder(root)
    assert {(sample.path.rsplit("/")[-1], sample.camera) for sample in listing.samples} == {
        ("1_c2.png", 2),
        ("2_c3.png", 3),
    }
    assert len(listing.samples) == 16
    assert listing.notes[0].startswith(
        "8 images lie in a subfolder of a person's folder (such as visible/a/monday/1_c2.png, read as an image of a)"
    )


@pytest.mark.parametrize(
    ("path", "pattern", "camera"),
    [
        ("{m}/train/{i}/1.png", "<modality>/<split>/<identity>/*", NO_CAMERA),
        ("{m}/cam2/{i}/1.png", "<modality>/cam<camera>/<identity>/*", 2),
        ("{m}/Camera_07/{i}/1.png", "<modality>/Camera_<camera>/<identity>/*", 7),
        ("{m}/gallery/{i}/1.png", "<modality>/*/<identity>/*", NO_CAMERA),
        ("{m}/{m}/{i}/1.png", "<modality>/*/<identity>/*", NO_CAMERA),
    ],
)
def test_folders_of_splits_and_cameras_are_not_taken_for_people(files, path, pattern, camera):
    root = files(*each(path))
    message = refused(lambda: read_folder(root), "should be the folder of a person, but has folders of its own")
    assert message.endswith(f"where the identity is, as with --set 'data.pattern={pattern}'")
    samples = read_folder(root, FolderOptions(pattern=pattern)).samples
    assert len({sample.identity for sample in samples}) == 4
    assert {sample.camera for sample in samples} == {camera}


def test_people_behind_links_are_read(files, tmp_path):
    root = files(*each("{m}/{i}/1.png", "ab"), *each("../disk/{m}/{i}/1.png", "cd"))
    for modality in MODALITIES:
        for name in "cd":
            (root / modality / name).symlink_to(tmp_path / "disk" / modality / name)
    assert len(identities(root)) == 8
    (root / "visible" / "a" / "everything").symlink_to(root)
    (root / "visible" / "a" / "more").symlink_to(root / "visible" / "b")
    assert identities(root).keys() == set(each("{m}/{i}/1.png"))
    assert read_folder(root).notes[0].startswith("2 links to folders were not followed")


@pytest.mark.parametrize("ending", ["heic", "npy", "raw", "dng"])
@pytest.mark.parametrize("modality", MODALITIES)
def test_endings_that_are_not_read_are_named(files, modality, ending):
    (other,) = set(MODALITIES) - {modality}
    root = files(*each(f"{{m}}/{{i}}/1.{ending}", modalities=[modality]), *each("{m}/{i}/1.png", modalities=[other]))
    refused(
        lambda: read_folder(root), f"4 have {other} images only", f"(4 ending in .{ending}); files with such an ending"
    )


@pytest.mark.parametrize(
    ("visible", "infrared"), [("0001", "1"), ("Anna", "anna"), ("anna b", "annab"), ("ID007", "id7"), ("p 01", "P1")]
)
def test_names_that_differ_by_zeros_case_or_spaces_are_named(files, visible, infrared):
    pair = [f"visible/{visible}/1.png", f"infrared/{infrared}/1.png"]
    first, second = sorted((visible, infrared))
    words = f"'{first}' and '{second}' differ only in zeros, letter case or spaces"
    refused(lambda: read_folder(files(*pair)), words, f"1 has visible images only ('{visible}')")
    assert any(note.startswith(words) for note in read_folder(files(*pair, *each("{m}/{i}/1.png"))).notes)


@pytest.mark.parametrize("names", ["ab", ("1", "01"), ("10", "100"), ("Anna", "anna")])
def test_complete_people_of_similar_names_are_two_people(files, names):
    listing = read_folder(files(*each("{m}/{i}/1.png", names)))
    assert listing.notes == ()
    assert len({sample.identity for sample in listing.samples}) == 2


def test_lists_with_other_zeros_are_refused_with_the_name_that_is_there(files):
    root = files(*each("{m}/000{i}/1.png", "123"))
    (root / "train.txt").write_text("1\n2\n")
    (root / "test.txt").write_text("0003\n")
    options = FolderOptions(train_ids="train.txt", test_ids="test.txt")
    refused(
        lambda: read_folder(root, options), "'1' (train.txt:1; there is '0001')", "'2' (train.txt:2; there is '0002')"
    )


@pytest.mark.parametrize("names", [("Visible", "INFRARED"), ("rgb", "thermal"), ("visible", "Infrared")])
def test_folders_of_modalities_under_other_names_are_named(files, names):
    root = files(*each("{m}/{i}/1.png", modalities=names))
    refused(lambda: read_folder(root), f"If {names[0]}/ and {names[1]}/ hold your own images, rename them")
    listing = read_folder(root, FolderOptions(pattern="<modality>/<identity>/*"))
    assert {sample.modality for sample in listing.samples} == set(MODALITIES)


def test_images_without_a_camera_that_change_the_protocol_are_counted(files):
    named = each("{m}/{i}/x_c1_1.png")
    samples = read_folder(files(*named), FolderOptions(test_share=1.0)).samples
    assert FOLDER.sample_notes(samples) == []
    assert FOLDER.usual_shots(samples) == "single"
    samples = read_folder(files(*named, "visible/a/x_1.png"), FolderOptions(test_share=1.0)).samples
    (note,) = FOLDER.sample_notes(samples)
    assert note.startswith(
        "the camera of 1 of 9 test images is unknown (such as visible/a/x_1.png): galleries can't be drawn"
    )
    assert FOLDER.usual_shots(samples) == "whole"
    assert FOLDER.sample_notes([s for s in samples if s.camera == NO_CAMERA]) == []  # nobody expects cameras


def test_a_single_shot_gallery_names_the_images_without_a_camera(files):
    listing = read_folder(files(*each("{m}/{i}/x_c1_1.png"), "infrared/b/x.png"), FolderOptions(test_share=1.0))
    with pytest.raises(
        DataError, match=r"single-shot .* but the camera of 1 of 9 test images is unknown \(such as infrared/b/x.png\)"
    ):
        FOLDER.draw(listing, Setting("infrared-to-visible", "single", "community"))
