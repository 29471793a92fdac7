"""Reading a user's own folders: identities, cameras, and the split."""

import unicodedata

import pytest
import small_setup

from lba_cli.config import ConfigLayer, resolve_config
from lba_cli.data.image_files import image_suffixes
from lba_cli.data.samples import NO_CAMERA, fingerprint
from lba_cli.datasets.folder import FolderOptions, read_folder
from lba_cli.errors import ConfigError


@pytest.fixture
def copy(hollow):
    return hollow("folder")


@pytest.fixture
def own(tmp_path):
    """Make a small tree: ``own({"visible": {"a": ["1.jpg"]}, …})``."""

    def make(tree):
        root = tmp_path / "own"
        for modality, people in tree.items():
            (root / modality).mkdir(parents=True, exist_ok=True)
            for name, files in people.items():
                (root / modality / name).mkdir()
                for file in files:
                    (root / modality / name / file).touch()
        return root

    return make


def both(*names):
    return {modality: {name: ["1.jpg"] for name in names} for modality in ("visible", "infrared")}


def splits(root, **options):
    """{name of an identity's folder: its split}"""
    return {s.path.split("/")[1]: s.split for s in read_folder(root, FolderOptions(**options)).samples}


def refused(root, *words, **options):
    return small_setup.refused(lambda: read_folder(root, FolderOptions(**options)), *words)


def test_samples_follow_the_folders(copy):
    (copy / "synthetic.json").unlink()
    listing = read_folder(copy, FolderOptions())
    assert (listing.name, listing.dataset) == ("own images", "folder")
    names = sorted({s.path.split("/")[1] for s in listing.samples})
    assert names[:2] == ["passer-by 01", "passer-by 02"]
    assert all(names[s.identity - 1] == s.path.split("/")[1] for s in listing.samples)
    assert all(f"_c{s.camera}_" in s.path for s in listing.samples)


def test_the_numbering_does_not_depend_on_the_split(copy):
    numbers = [
        {s.path: s.identity for s in read_folder(copy, FolderOptions(split_seed=seed, test_share=share)).samples}
        for seed, share in ((0, 0.5), (1, 0.5), (0, 1))
    ]
    assert numbers[0] == numbers[1] == numbers[2]


def test_seed_and_share_decide_the_split(own):
    names = [f"p{number:02d}" for number in range(20)]
    root = own(both(*names))
    found = [splits(root, split_seed=seed, test_share=0.3) for seed in (0, 0, 1)]
    assert found[0] == found[1] != found[2]
    assert [list(split_of.values()).count("test") for split_of in found] == [6, 6, 6]
    assert set(splits(root, test_share=0.0).values()) == {"train"}
    assert set(splits(root, test_share=1.0).values()) == {"test"}
    assert list(splits(root, test_share=0.001).values()).count("test") == 1
    assert list(splits(root, test_share=0.999).values()).count("train") == 1


def test_people_with_one_modality_are_distractors(own):
    tree = both("a", "b", "c", "d")
    tree["visible"]["only visible"] = ["1.png"]
    root = own(tree)
    for seed in range(5):
        assert splits(root, split_seed=seed)["only visible"] == "test"
    assert read_folder(root, FolderOptions()).notes == (
        "1 identity has one modality only and is a distractor in galleries: 1 has visible images only ('only visible')",
    )
    assert "only visible" not in splits(root, test_share=0.0)
    assert read_folder(root, FolderOptions(test_share=0.0)).notes == (
        "1 identity has one modality only and is left out: 1 has visible images only ('only visible')",
    )


def test_validation_people_are_drawn_without_changing_the_test_split(own):
    root = own(both(*(f"p{number:02d}" for number in range(20))))
    plain, some, others = (
        splits(root, test_share=0.3, validation_share=share, split_seed=seed)
        for share, seed in ((0, 0), (0.2, 0), (0.2, 1))
    )
    assert {name for name in plain if plain[name] == "test"} == {name for name in some if some[name] == "test"}
    assert [list(some.values()).count(split) for split in ("train", "val", "test")] == [10, 4, 6]
    assert some == splits(root, test_share=0.3, validation_share=0.2) != others
    assert list(splits(root, validation_share=0.001).values()).count("val") == 1
    words = "data.validation_share=0.5 leaves nobody to train on: of 20 identities, 10 would be for testing and 10 for validation"
    refused(root, words, validation_share=0.5)


def test_a_third_list_names_the_validation_people(own):
    root = own(both("a", "b", "c", "d"))
    for name, text in (("train", "a\nb\n"), ("test", "c\n"), ("val", "d\n"), ("again", "a\n")):
        (root / f"{name}.txt").write_text(text)
    lists = {"train_ids": "train.txt", "test_ids": "test.txt"}
    assert splits(root, **lists, validation_ids="val.txt") == {"a": "train", "b": "train", "c": "test", "d": "val"}
    refused(root, "again.txt:1: identity 'a' is already in train.txt:1", **lists, validation_ids="again.txt")
    with pytest.raises(ValueError, match=r"data\.validation_ids is given without data\.train_ids and data\.test_ids"):
        FolderOptions(validation_ids="val.txt")
    with pytest.raises(ValueError, match=r"data\.validation_share needs a random split"):
        FolderOptions(validation_share=0.1, **lists)


def test_another_split_has_another_fingerprint(copy):
    prints = {fingerprint(read_folder(copy, FolderOptions(split_seed=seed))) for seed in (0, 1, 2)}
    assert len(prints) == 3


def test_cameras_are_recognised_in_file_names(own):
    tree = both("a")
    tree["visible"]["a"] = ["x_c12_1.jpg", "X_C3.JPG", "x_c0.jpg", "x.jpg", "c5.jpg"]
    cameras = {s.path.rsplit("/")[-1]: s.camera for s in read_folder(own(tree), FolderOptions()).samples}
    named = {"x_c12_1.jpg": 12, "X_C3.JPG": 3, "x_c0.jpg": 0}
    assert cameras == named | dict.fromkeys(("x.jpg", "c5.jpg", "1.jpg"), NO_CAMERA)


def test_images_may_have_any_format_that_pillow_decodes(own):
    assert {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm"} <= image_suffixes()
    assert not {".txt", ".pdf", ".mpg", ".h5", ".npy"} & image_suffixes()
    tree = both("a")
    tree["visible"]["a"] = ["1.TIFF", "2.webp", "3.PpM", "4.mp4"]
    listing = read_folder(own(tree), FolderOptions())
    assert len(listing.samples) == 4
    assert listing.notes == (
        "1 file was passed over (1 ending in .mp4); files with such an ending are not read: convert images to PNG",
    )


def test_everything_that_is_passed_over_is_counted_with_its_reason(own):
    root = own(both("a", "b"))
    (root / "visible" / "a" / "Thumbs.db").touch()
    (root / "visible" / "a" / "._1.jpg").touch()
    (root / "visible" / "a" / "README").touch()
    (root / "infrared" / "empty").mkdir()
    (root / "infrared" / ".hidden").mkdir()
    (root / "infrared" / "b" / "gone.jpg").symlink_to(root / "nowhere.jpg")
    listing = read_folder(root, FolderOptions())
    assert len(listing.samples) == 4
    counted, empty = listing.notes
    assert counted.startswith("4 files were passed over (")
    for reason in ("1 ending in .db", "1 hidden", "1 without an ending", "1 linked to a missing file"):
        assert reason in counted
    assert empty == "1 folder of a person has no images (such as infrared/empty)"


def test_names_are_compared_in_one_unicode_form(own):
    root = own({"visible": {"Zoë 张": ["1.jpg"]}, "infrared": {unicodedata.normalize("NFD", "Zoë 张"): ["1.jpg"]}})
    assert {s.identity for s in read_folder(root, FolderOptions()).samples} == {1}


def test_incomplete_roots_are_refused(tmp_path, own):
    refused(
        tmp_path / "nowhere",
        "no such folder; a folder of your own images should be there (visible/IDENTITY",
        "--layout folder",
    )
    root = own({"visible": {"a": ["1.jpg"]}})
    refused(root, "incomplete copy; missing: infrared")
    (root / "infrared").mkdir()
    refused(root, "no identity has images in both visible and infrared: 1 has visible images only ('a')")


def test_lists_of_identities_decide_the_split(own):
    root = own(both("a", "b b", "c", "d"))
    (root / "train.txt").write_bytes("\ufeffb b\r\n\r\nd \r\n".encode())
    (root / "test.txt").write_text("a\n")
    assert splits(root, train_ids="train.txt", test_ids=str(root / "test.txt")) == {
        "a": "test",
        "b b": "train",
        "d": "train",
    }
    listing = read_folder(root, FolderOptions(train_ids="train.txt", test_ids="test.txt"))
    assert listing.notes == ("1 identity is in no list and is left out",)
    assert {s.identity for s in listing.samples} == {1, 2, 4}


def test_listed_identities_with_one_modality_are_reported(own):
    tree = both("a", "b")
    tree["visible"]["c"] = ["1.jpg"]
    root = own(tree)
    (root / "train.txt").write_text("a\n")
    (root / "test.txt").write_text("b\nc\n")
    listing = read_folder(root, FolderOptions(train_ids="train.txt", test_ids="test.txt"))
    assert listing.notes == ("1 identity of the split has one modality only: 1 has visible images only ('c')",)
    assert {s.path.split("/")[1] for s in listing.samples if s.split == "test"} == {"b", "c"}


@pytest.mark.parametrize(
    ("train", "test", "words"),
    [
        ("a\nb\n", "c\nb\n", ("test.txt:2: identity 'b' is already in train.txt:2",)),
        ("a\na\n", "c\n", ("train.txt:2: identity 'a' is already in train.txt:1",)),
        ("a\nx\n", "b\ny z\n", ("name 2 identities without images: 'x' (train.txt:2), 'y z' (test.txt:2)",)),
        ("", "", ("name people to train and test with",)),
        (None, "a\n", ("train.txt: no such file", "data.train_ids")),
        (b"a\n\xfc\n", "a\n", ("train.txt: line 2 is not UTF-8 text (byte 0xfc)",)),
    ],
)
def test_malformed_lists_of_identities_are_refused(own, train, test, words):
    root = own(both("a", "b", "c"))
    if train is not None:
        (root / "train.txt").write_bytes(train if isinstance(train, bytes) else train.encode())
    (root / "test.txt").write_text(test)
    refused(root, *words, train_ids="train.txt", test_ids="test.txt")


def test_one_list_of_identities_needs_the_other():
    with pytest.raises(ValueError, match=r"data\.train_ids is given without data\.test_ids"):
        FolderOptions(train_ids="a.txt")
    with pytest.raises(ValueError, match=r"data\.test_ids is given without data\.train_ids"):
        FolderOptions(test_ids="a.txt")


def test_one_list_of_identities_in_a_configuration_is_refused_with_its_place():
    with pytest.raises(
        ConfigError, match=r"^--set data.train_ids=a.txt: data.train_ids is given without data.test_ids"
    ):
        resolve_config([ConfigLayer.from_assignments(["data.train_ids=a.txt"])])


def test_the_name_of_a_relative_root_is_that_of_its_folder(copy, monkeypatch):
    (copy / "synthetic.json").unlink()
    monkeypatch.chdir(copy / "visible")
    assert read_folder(type(copy)(".."), FolderOptions()).name == "own images"
