"""CSV files that list own images: what they may contain, and the line that is wrong where they are refused."""

import pytest
from small_setup import refused

from lba_cli.data.prepare import prepare
from lba_cli.data.samples import NO_CAMERA, fingerprint
from lba_cli.data.store import default_store
from lba_cli.datasets import detect
from lba_cli.datasets.folder import FOLDER, read_folder
from lba_cli.datasets.folder_split import FolderOptions
from lba_cli.errors import DataError
from lba_cli.reporting import Silent

PATHS = [f"{camera}/{name}.png" for camera in ("day", "night") for name in ("ann", "bob", "cid")]
MODALITY = {"day": "visible", "night": "infrared"}


def rows(*columns, **replaced):
    """The lines of a list of all images, with these columns; ``replaced`` gives a column other values, one per image."""
    values = {
        "path": PATHS,
        "identity": [path[-7:-4] for path in PATHS],
        "camera": [7 if path.startswith("day") else 0 for path in PATHS],
        "modality": [MODALITY[path.split("/")[0]] for path in PATHS],
        "split": ["train" if "ann" in path else "test" for path in PATHS],
        **replaced,
    }
    return [
        ",".join(columns),
        *(",".join(map(str, line)) for line in zip(*(values[c.lower()] for c in columns), strict=True)),
    ]


@pytest.fixture
def listed(files):
    """Write lines into a CSV file beside the images, and return its path."""

    def make(lines, encoding="utf-8"):
        path = files(*PATHS) / "people.csv"
        path.write_bytes("\n".join(lines).encode(encoding))
        return path

    return make


BASIC = ("path", "identity", "camera", "modality")


def test_a_list_is_recognised_beside_folders_that_look_like_a_data_set(listed, files):
    path = listed(rows(*BASIC))
    files("visible/ann/1.png", "infrared/ann/1.png")
    assert detect(path).name == "folder"
    with pytest.raises(DataError, match=r"people\.txt: no known data set\."):
        detect(files("people.txt") / "people.txt")


def test_images_and_their_facts_are_read(listed):
    path = listed(rows(*BASIC))
    listing = read_folder(path)
    assert (listing.name, listing.root, listing.notes) == ("own/people.csv", path.parent, ())
    assert {sample.path for sample in listing.samples} == set(PATHS)
    for sample in listing.samples:
        assert sample.modality == MODALITY[sample.path.split("/")[0]]
        assert sample.identity == 1 + ["ann", "bob", "cid"].index(sample.path[-7:-4])
        assert sample.camera == (7 if sample.modality == "visible" else 0)
    assert {sample.split for sample in listing.samples} == {"train", "test"}


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: (
            [lines[0].replace("path,identity", "identity,path")]
            + [",".join([line.split(",")[1], line.split(",")[0], *line.split(",")[2:]]) for line in lines[1:]]
        ),
        lambda lines: [line.replace(",", ";") for line in lines],
        lambda lines: [line.replace(",", " , ") + "\r" for line in lines],
        lambda lines: [lines[0].upper(), "", *lines[1:], ",,,"],
        lambda lines: [",".join(f'"{cell}"' for cell in line.split(",")) for line in lines],
        lambda lines: [line.replace(",0,", ",0.0,").replace(",7,", ",7.0,") for line in lines],
        lambda lines: [line.replace("infrared", "Thermal").replace("visible", "RGB") for line in lines],
        lambda lines: [f"./{line}" if number else line for number, line in enumerate(lines)],
    ],
    ids=["order", "semicolons", "spaces", "blank lines", "quotes", "floats", "words", "dots"],
)
def test_other_ways_to_write_the_same_list(listed, change):
    wanted = read_folder(listed(rows(*BASIC))).samples
    assert read_folder(listed(change(rows(*BASIC)), "utf-8-sig")).samples == wanted


def test_cameras_may_be_unknown(listed):
    path = listed(rows("path", "identity", "modality"))
    assert {sample.camera for sample in read_folder(path).samples} == {NO_CAMERA}
    samples = read_folder(listed(rows(*BASIC, camera=[1, 2, "", 3, 4, 5])), FolderOptions(test_share=1.0)).samples
    assert FOLDER.sample_notes(samples)[0].startswith(
        "the camera of 1 of 6 test images is unknown (such as day/cid.png)"
    )


def test_the_splits_of_the_list_replace_the_drawn_one(listed):
    path = listed(rows(*BASIC, "split"))
    for seed in (0, 1):
        samples = read_folder(path, FolderOptions(split_seed=seed, test_share=0.9)).samples
        assert all((sample.split == "train") == ("ann" in sample.path) for sample in samples)
    with_val = read_folder(listed(rows(*BASIC, "split", split=["train", "VAL", "test"] * 2))).samples
    assert {(sample.path[-7:-4], sample.split) for sample in with_val} == {
        ("ann", "train"),
        ("bob", "val"),
        ("cid", "test"),
    }
    path = listed(rows(*BASIC, "split"))
    refused(
        lambda: read_folder(path, FolderOptions(validation_share=0.1)),
        "splits of their own: leave out data.validation_share",
    )
    (path.parent / "train.txt").write_text("ann\n")
    lists = FolderOptions(train_ids="train.txt", test_ids="train.txt")
    refused(lambda: read_folder(path, lists), "have splits of their own: leave out data.train_ids and data.test_ids")


def test_columns_that_are_not_read_are_named(listed):
    lines = [f"{line},{'view' if not number else 'x'}" for number, line in enumerate(rows(*BASIC))]
    assert read_folder(listed(lines)).notes == ("columns that are not read: 'view'",)


def test_a_pattern_has_no_effect_on_a_list(listed):
    options = FolderOptions(pattern="<modality>/<identity>/*")
    assert read_folder(listed(rows(*BASIC)), options).notes == ("data.pattern has no effect on a CSV file",)


def with_row(line):
    return [*rows(*BASIC, "split"), line]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], ":1: empty; the first line should name the columns path, identity, modality and"),
        (rows(*BASIC)[1:], ":1: has no column 'path': the first line should name the columns"),
        (rows("path", "identity", "camera"), ":1: has no column 'modality'"),
        (["path,identity,modality,path"], ":1: names the column 'path' twice"),
        (with_row("day/bob.png,bob,,visible,test"), ":8: path 'day/bob.png' is already in "),
        (with_row("day/./bob.png,bob,,visible,test"), "people.csv:3"),
        (with_row("day/dan.png,dan,,visible,test"), ":8: no such file: "),
        (with_row("day,dan,,visible,test"), ":8: no such file: "),
        (with_row("../x.png,dan,,visible,test"), ":8: '../x.png' leads out of the data set"),
        (with_row("/x.png,dan,,visible,test"), ":8: '/x.png' leads out of the data set"),
        (with_row("C:/x.png,dan,,visible,test"), ":8: 'C:/x.png' leads out of the data set"),
        (with_row("day\\x.png,dan,,visible,test"), "paths must use forward slashes"),
        (with_row(",dan,,visible,test"), ":8: path is empty"),
        (with_row("x.png,,,visible,test"), ":8: identity is empty"),
        (with_row("x.png,dan,,,test"), ":8: modality is empty"),
        (with_row("x.png,dan,,lidar,test"), ":8: modality 'lidar' is unknown; valid: visible, vis, rgb; infrared"),
        (with_row("x.png,dan,c3,visible,test"), ":8: camera 'c3' is not a whole number"),
        (with_row("x.png,dan,-3,visible,test"), ":8: camera '-3' is not a whole number"),
        (with_row("x.png,dan,,visible,query"), ":8: split 'query' is unknown; valid: train, "),
        (with_row("x.png,dan,,visible,"), ":8: split is empty; every row needs a split, because other rows have one"),
        (with_row("x.png,dan,visible"), ":8: modality is empty"),
        (
            with_row("x,1.png,dan,,visible,test"),
            ":8: has 6 cells, but the first line names 5 columns; a cell that contains ','",
        ),
        (with_row('"x.png,dan,,visible,test'), ":8: not a line of a CSV file"),
        (
            rows(*BASIC, "split", split=["train"] * 5 + ["test"]),
            "people.csv:7: identity 'cid' is in the split test here, and in",
        ),
        (
            rows(*BASIC, modality=["visible"] * 6),
            "no identity has images in both visible and infrared: 3 have visible images",
        ),
        (
            rows(*BASIC, identity=["01", "02", "03", "1", "2", "3"]),
            "'01' and '1', '02' and '2', '03' and '3' differ only in zeros",
        ),
    ],
)
def test_a_malformed_list_is_refused_with_the_line(listed, lines, words):
    refused(lambda: read_folder(listed(lines)), words)


def test_missing_files_are_counted(listed):
    path = listed(rows(*BASIC))
    (path.parent / "day" / "ann.png").unlink()
    (path.parent / "night" / "bob.png").unlink()
    refused(lambda: read_folder(path), "people.csv:2: no such file: ", "day/ann.png (2 of 6 listed images are missing)")


def test_a_missing_list_and_one_that_is_no_text_are_refused(listed, tmp_path):
    refused(
        lambda: read_folder(tmp_path / "gone.csv"), "gone.csv: no such file; a CSV file with the columns path, identity"
    )
    path = listed([])
    path.write_bytes(b"\x89PNG\xff\xfe")
    refused(lambda: read_folder(path), "people.csv: line 1 is not UTF-8 text")


def test_a_list_is_recognised_and_has_a_store_of_its_own(listed):
    path = listed(rows(*BASIC))
    assert detect(path) is FOLDER
    assert default_store(path, 32, 16) == path.with_name("people.csv-32x16")


def test_other_facts_make_another_fingerprint(listed):
    prints = {
        fingerprint(read_folder(listed(lines)))
        for lines in (
            rows(*BASIC),
            rows(*BASIC, camera=range(6)),
            rows(*BASIC, "split", split=["test", "train", "test"] * 2),
            rows("path", "identity", "modality"),
        )
    }
    assert len(prints) == 4


def test_an_unreadable_image_of_a_list_is_named_when_it_is_prepared(listed, tmp_path):
    listing = read_folder(listed(rows(*BASIC)))  # the files are empty
    with pytest.raises(Exception, match="6 of 6 images can't be decoded"):
        prepare(listing, tmp_path / "store", 32, 16, listener=Silent(), workers=1)
