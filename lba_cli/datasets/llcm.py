"""LLCM: lists of training images in ``idx``; test images in ``test_vis/CAMERA/IDENTITY`` and ``test_nir/CAMERA/IDENTITY``.

Zhang and Wang, Diverse Embedding Expansion Network and Low-Light Cross-Modality Benchmark, CVPR 2023. All images of one
modality query a gallery of the other modality, with one image of each identity and camera, in ten draws. Gallery images of
the query's identity under the query's camera are ignored.
"""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import product
from pathlib import Path, PurePosixPath

from lba_cli.data.samples import EvaluationSet, Listing, Sample, in_order
from lba_cli.datasets.galleries import all_images, community_draws, community_galleries, directories_of_test
from lba_cli.datasets.layout import SIGNED_AGREEMENT, Layout, name_of
from lba_cli.datasets.lists import (
    Entry,
    read_identities,
    read_image_list,
    read_lines,
    read_split,
    require_consistent_labels,
    require_images,
    shortened,
)
from lba_cli.datasets.scan import Scan, camera_in_name, unlisted_notes
from lba_cli.datasets.spec import BOTH_DIRECTIONS, DatasetOptions, DatasetSpec, Draw, PublishedResult, Setting
from lba_cli.errors import DataError
from lba_cli.match_rules import match_rules
from lba_cli.synthetic import Job, Plan, Preset
from lba_cli.synthetic.plan import INFRARED_LOOKS, VISIBLE_LOOKS, size_of
from lba_cli.vocabulary import MODALITIES, Modality, plural

TRAIN_LISTS: dict[Modality, str] = {"visible": "idx/train_vis.txt", "infrared": "idx/train_nir.txt"}
TEST_LIST = "idx/test_id.txt"
# A complete copy has a second copy of every test image among the training images. These lists name the second copies.
COPY_LISTS: dict[Modality, str] = {"visible": "idx/test_vis.txt", "infrared": "idx/test_nir.txt"}
TEST_FOLDERS: dict[Modality, str] = {"visible": "test_vis", "infrared": "test_nir"}
CAMERAS: dict[Modality, tuple[int, ...]] = {"visible": tuple(range(1, 10)), "infrared": (1, 2, 4, 5, 6, 7, 8, 9)}
CAMERA_FOLDERS = {
    f"{TEST_FOLDERS[modality]}/cam{camera}": (camera, modality)
    for modality in MODALITIES
    for camera in CAMERAS[modality]
}
LAYOUT = Layout(
    name="llcm",
    title="LLCM",
    described="idx/{train_vis,train_nir,test_id}.txt, test_vis/cam{1…9} and test_nir/cam{1,2,4…9}",
    signs=tuple(TEST_FOLDERS.values()),
    folders=tuple(CAMERA_FOLDERS),
    lists=(*TRAIN_LISTS.values(), TEST_LIST),
    source=SIGNED_AGREEMENT,
)
_MODALITY_WORD = re.compile(r"(?<![a-z])(vis|nir)")
_MODALITY_OF_WORD: dict[str, Modality] = {"vis": "visible", "nir": "infrared"}
_CAMERA_FOLDER = re.compile(r"cam([0-9]{1,9})")


def read_llcm(root: Path, _: DatasetOptions | None = None) -> Listing:
    """List the images of LLCM.

    A training image's identity is its label in the list; a test image's identity is the number of its folder. The second
    copies of the test images may be missing, and so may their lists.

    Raises:
        DataError: a list, a folder or an image is missing, a list is malformed, lists contradict each other, or an
            image is in both splits.
    """
    LAYOUT.require(root)
    lists = {modality: read_image_list(root, name) for modality, name in TRAIN_LISTS.items()}
    tested = read_split([(root / TEST_LIST, "test")], read_identities)
    entries = [entry for modality in MODALITIES for entry in lists[modality]]
    _check_modalities(lists)
    require_consistent_labels(entries, _identity_folder, "identity")
    require_images(root, entries)
    scan = Scan()
    samples = [
        Sample(entry.path, entry.label, camera_of(entry.path), modality, "train")
        for modality in MODALITIES
        for entry in lists[modality]
    ]
    test = [s for place, camera in CAMERA_FOLDERS.items() for s in scan.samples(root, place, *camera, tested)]
    if not test:
        raise DataError(
            f"{root}: none of the identities in {TEST_LIST} has an image under test_vis and test_nir{scan.reasons()}"
        )
    copies = _second_copies(root)
    _check_splits(entries, copies | {sample.path: TEST_LIST for sample in test})
    train_folders = {entry.path.split("/")[0] for entry in entries if "/" in entry.path} - {*TEST_FOLDERS.values()}
    unlisted = unlisted_notes(root, train_folders, {entry.path for entry in entries} | copies.keys())
    notes = [*scan.notes(), *unlisted, *_notes(lists, set(tested), test)]
    if unknown := sorted(scan.unlisted):
        is_unlisted = plural(
            len(unknown),
            f"identity of the test folders is not in {TEST_LIST} and is",
            f"identities of the test folders are not in {TEST_LIST} and are",
        )
        notes.append(f"{len(unknown)} {is_unlisted} left out: {shortened(unknown)}")
    return Listing(name_of(root, LAYOUT.title), LAYOUT.name, root, in_order([*samples, *test]), None, tuple(notes))


def camera_of(path: str) -> int:
    """Return a training image's camera from a folder such as ``cam3``, or from ``_c3`` in the file name, or ``NO_CAMERA``."""
    *folders, name = path.split("/")
    numbers = [int(found[1]) for folder in folders if (found := _CAMERA_FOLDER.fullmatch(folder))]
    return numbers[-1] if numbers else camera_in_name(name)


def _check_modalities(lists: dict[Modality, list[Entry]]) -> None:
    """Raise a DataError if an image is in both lists, or lies in a folder that is named after the other modality."""
    visible = {entry.path: entry for entry in lists["visible"]}
    for entry in lists["infrared"]:
        if entry.path in visible:
            raise DataError(f"{entry.place}: {entry.path} is listed as visible in {visible[entry.path].short_place}")
    for modality, listed in lists.items():
        for entry in listed:
            named = _MODALITY_WORD.findall(entry.path.rpartition("/")[0].lower())
            if named and all(_MODALITY_OF_WORD[word] != modality for word in named):
                raise DataError(
                    f"{entry.place}: {entry.path} lies in a folder of {_MODALITY_OF_WORD[named[0]]} images, but this is the "
                    f"list of {modality} images; are {' and '.join(TRAIN_LISTS.values())} swapped?"
                )


def _second_copies(root: Path) -> dict[str, str]:
    """Return {path: list that names it} for the second copies of the test images. The lists have no other use."""
    lists = {name: read_lines(root / name, "") for name in COPY_LISTS.values() if (root / name).is_file()}
    return {line.rsplit(maxsplit=1)[0]: name for name, lines in lists.items() for line in lines if line}


def _check_splits(train: list[Entry], test: dict[str, str]) -> None:
    """Raise a DataError if a training image is also a test image.

    ``test`` maps the path of each test image to the name of the list that makes it a test image.
    """
    for entry in train:
        if entry.path in test:
            raise DataError(f"{entry.place}: {entry.path} is a test image as well, see {test[entry.path]}")


def _notes(lists: dict[Modality, list[Entry]], tested: set[int], test: list[Sample]) -> Iterator[str]:
    """Yield a note about each possible mistake in this copy of the data set."""
    visible, infrared = ({entry.label for entry in lists[modality]} for modality in MODALITIES)
    if alone := sorted(visible ^ infrared):
        yield (
            f"{len(alone)} {plural(len(alone), 'label is', 'labels are')} in only one of {' and '.join(TRAIN_LISTS.values())}, so "
            f"that training needs data.skip_incomplete=true: {shortened(alone)}"
        )
    if both := sorted(tested & {_identity_folder(entry) for modality in MODALITIES for entry in lists[modality]}):
        words = plural(len(both), "folder of training images has", "folders of training images have")
        yield (
            f"{len(both)} {words} the same number as a test identity; if both are the same person, the figures are inflated: "
            f"{shortened(both)}"
        )
    if without := sorted(tested - {sample.identity for sample in test}):
        identities = plural(len(without), f"identity of {TEST_LIST} has", f"identities of {TEST_LIST} have")
        yield f"{len(without)} {identities} no images: {shortened(without)}"
    for modality in MODALITIES:
        if not any(sample.modality == modality for sample in test):
            yield f"{TEST_FOLDERS[modality]} has no image of a test identity: evaluation is impossible"


def _identity_folder(entry: Entry) -> int | None:
    """Return the number of the folder that an image lies in; None if the folder's name isn't a number."""
    folder = PurePosixPath(entry.path).parent.name
    return int(folder) if folder.isascii() and folder.isdecimal() else None


def _draw(source: EvaluationSet, setting: Setting) -> tuple[Draw, ...]:
    direction = BOTH_DIRECTIONS[setting.mode]
    if setting.protocol == "community":
        return community_draws(source.samples, direction, setting.shots)
    queried, searched = (directories_of_test(source.samples, modality) for modality in direction)
    gallery = all_images(queried)
    return tuple(Draw(n, queries, gallery) for n, queries in enumerate(community_galleries(searched, setting.shots)))


_FIRST_PERSON = 2_000_000  # layouts never share a synthetic person
_PEOPLE = {"tiny": 18, "small": 96}
_MOST_IMAGES = {"tiny": 2, "small": 4}
_TRAIN_FOLDERS: dict[Modality, str] = {"visible": "vis", "infrared": "nir"}
# The renderer has only six cameras, so several cameras of LLCM share a look: visible cameras look like the renderer's cameras
# 1, 2, 4 and 5 in turn, infrared cameras like its cameras 3 and 6.
_LOOKS: dict[Modality, tuple[int, ...]] = {"visible": VISIBLE_LOOKS, "infrared": INFRARED_LOOKS}
_ABSENT: dict[Modality, int] = {"visible": 3, "infrared": 4}  # every third or fourth camera doesn't see a person


def _plan(preset: Preset, seed: int) -> Plan:
    """Plan people under several cameras of each modality; every third person, from 0 on, is in the test split."""
    people = range(size_of(_PEOPLE, preset, LAYOUT.name))
    jobs: list[Job] = []
    lists = dict.fromkeys((*TRAIN_LISTS.values(), *COPY_LISTS.values()), "")
    for person, modality in product(people, MODALITIES):
        tested = person % 3 == 0
        name = (COPY_LISTS if tested else TRAIN_LISTS)[modality]
        label = person // 3 if tested else person - person // 3 - 1
        for job in _jobs_of(person, modality, seed, _MOST_IMAGES[preset.size]):
            jobs.append(job)
            lists[name] += f"{job.copy or job.path} {label}\n"
    lists[TEST_LIST] = ",".join(f"{person:04d}" for person in people[::3]) + "\n"
    return Plan(tuple(jobs), {name: text.encode() for name, text in lists.items()})


def _jobs_of(person: int, modality: Modality, seed: int, most: int) -> Iterator[Job]:
    """Yield one person's images under the cameras of one modality, named as in the real data set.

    As in the real data set, there is a second copy of each test image among the training images.
    """
    taken: Counter[int] = Counter()
    word = _TRAIN_FOLDERS[modality]
    for camera in CAMERAS[modality]:
        if (person // 3 + camera) % _ABSENT[modality] == 0:
            continue
        look = _LOOKS[modality][(camera - 1) % len(_LOOKS[modality])]
        for index in range(1, most - (person + camera) % 2 + 1):
            taken[look] += 1
            name = f"{person:04d}/{person:04d}_c{camera:02d}_s{camera:03d}000_f{index:04d}_{word}.jpg"
            path, copy = f"{word}/{name}", ""
            if person % 3 == 0:
                path, copy = f"{TEST_FOLDERS[modality]}/cam{camera}/{name}", path
            yield Job(seed, _FIRST_PERSON + person, look, taken[look], path, copy)


_SETTING = Setting("infrared-to-visible", "single", "community")
LLCM = DatasetSpec(
    layout=LAYOUT,
    read=read_llcm,
    default_root="datasets/LLCM",
    modes=BOTH_DIRECTIONS,
    usual_modes=tuple(BOTH_DIRECTIONS),
    shots=("single",),
    usual_shots=lambda _: "single",
    protocols={"community": tuple(BOTH_DIRECTIONS), "released": ("visible-to-infrared",)},
    protocol_notes={
        "released": "LLCM's release transposes its matrix of scores for visible-to-infrared, so that the sampled infrared "
        "images query the whole visible set. The proper direction is --protocol community"
    },
    match_rules=match_rules("llcm"),
    draw=_draw,
    needs_cameras=True,
    published=(PublishedResult("full", _SETTING, {"rank1": 0.4276, "mAP": 0.5095}),),
    synthetic=_plan,
    prepare_help="Resize LLCM (idx, test_vis, test_nir and the training folders) once into a store.",
    prepare_examples=("lba prepare llcm", "lba prepare llcm --root /data/LLCM --output /fast/llcm --skip-broken"),
)
