"""A user's own images, in the folders ``visible/IDENTITY`` and ``infrared/IDENTITY``.

A file name that contains ``_c`` and a number names the camera. If all test images name theirs, galleries are drawn from each
camera, as for SYSU-MM01; otherwise all test images of a modality form one gallery. Queries ignore nothing, because a visible
and an infrared camera of the same number are different cameras. People with images in only one modality are distractors.
"""

import random
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from lba_cli.data.image_files import image_suffixes
from lba_cli.data.samples import EvaluationSet, Listing, Sample, in_order
from lba_cli.datasets.galleries import cameras_known, community_draws, whole_gallery
from lba_cli.datasets.layout import Layout, name_of
from lba_cli.datasets.lists import read_lines, read_split, shortened
from lba_cli.datasets.scan import Scan, camera_in_name, require_text
from lba_cli.datasets.spec import BOTH_DIRECTIONS, DatasetOptions, DatasetSpec, Draw, Setting, SplitAdvice
from lba_cli.errors import DataError
from lba_cli.match_rules import MatchRules
from lba_cli.synthetic import Job, Plan, Preset
from lba_cli.synthetic.plan import INFRARED_LOOKS, VISIBLE_LOOKS, size_of
from lba_cli.vocabulary import MODALITIES, Modality, Split

LAYOUT = Layout(
    name="folder",
    title="a folder of your own images",
    described="visible/IDENTITY and infrared/IDENTITY",
    signs=MODALITIES,
    folders=MODALITIES,
)
# {name of an identity: {modality: paths}}
People = dict[str, dict[Modality, list[str]]]


class FolderOptions(DatasetOptions):
    """The split into training and test identities.

    By default, a random half of the identities that have both modalities are the test split.
    """

    split_seed: int = Field(0, ge=0, lt=2**63, description="seed of the random train/test split")
    test_share: float = Field(0.5, ge=0, le=1, description="share of the identities in the test split")
    train_ids: str | None = Field(
        None, min_length=1, description="file with the identities to train on, one per line, instead of a random split"
    )
    test_ids: str | None = Field(None, min_length=1, description="file with the identities to test with")

    @model_validator(mode="after")
    def _both_lists_or_neither(self) -> Self:
        if (self.train_ids is None) != (self.test_ids is None):
            given, lacking = ("train", "test") if self.test_ids is None else ("test", "train")
            raise ValueError(f"data.{given}_ids is given without data.{lacking}_ids: give both lists, or neither")
        return self


def read_folder(root: Path, options: FolderOptions | None = None) -> Listing:
    """List the images under ``visible`` and ``infrared``, in any format that Pillow decodes.

    Identities are numbered from 1 in the order of their names, independent of the split. Those with one modality only are
    in the test split, as distractors, unless a list of identities says otherwise.

    Raises:
        DataError: a folder is missing, there are no identities to train or test with, or a list of identities is malformed.
    """
    options = options or FolderOptions()
    LAYOUT.require(root)
    scan = Scan(image_suffixes())
    people = _people(root, scan)
    both = [name for name, images in people.items() if all(images[modality] for modality in MODALITIES)]
    if not both:
        raise DataError(
            f"{root}: no identity has images in both visible/ and infrared/ ({len(people)} have them in one): its folder "
            "must have the same name in both"
        )
    if options.train_ids is not None and options.test_ids is not None:
        split_of, notes = _split_by_lists(root, people, options.train_ids, options.test_ids)
    else:
        split_of, notes = _split_at_random(people, both, options)
    number = {name: place for place, name in enumerate(people, start=1)}
    samples = in_order(
        Sample(path, number[name], camera_in_name(path.rsplit("/", 1)[1]), modality, split, name=name)
        for name, split in split_of.items()
        for modality in MODALITIES
        for path in people[name][modality]
    )
    if not samples:
        raise DataError(f"{root}: the lists of identities are empty: nobody is left to train or test with")
    name = name_of(root, root.resolve().name or LAYOUT.title)
    return Listing(name, LAYOUT.name, root, samples, None, (*scan.notes(), *notes))


def _people(root: Path, scan: Scan) -> People:
    """Find all people who have an image, sorted by name. Names are converted to Unicode's composed form (NFC)."""
    people: People = {}
    for modality in MODALITIES:
        for folder in (root / modality).iterdir():
            images: list[str] = []
            if folder.is_dir() and not folder.name.startswith("."):
                require_text(folder)
                images = sorted(scan.images(folder))
            if not images:
                scan.strays += 1
                continue
            name = unicodedata.normalize("NFC", folder.name)
            person = people.setdefault(name, {each: [] for each in MODALITIES})
            person[modality] += (f"{modality}/{folder.name}/{image}" for image in images)
    return dict(sorted(people.items()))


def _split_at_random(people: People, both: list[str], options: FolderOptions) -> tuple[dict[str, Split], list[str]]:
    """Draw the test split. Each split gets at least one identity, unless ``test_share`` is 0 or 1."""
    count = int(len(both) * options.test_share + 0.5)
    if 0 < options.test_share < 1 and len(both) > 1:
        count = min(max(count, 1), len(both) - 1)
    tested = set(random.Random(options.split_seed).sample(both, count))
    split_of: dict[str, Split] = {name: "test" if name in tested else "train" for name in both}
    one_modality = [name for name in people if name not in split_of]
    if not one_modality:
        return split_of, []
    if not tested:
        return split_of, [f"{len(one_modality)} identities have one modality only: they are left out"]
    split_of |= dict.fromkeys(one_modality, "test")
    return split_of, [f"{len(one_modality)} identities have one modality only: they are distractors in galleries"]


def _split_by_lists(root: Path, people: People, train: str, test: str) -> tuple[dict[str, Split], list[str]]:
    listed = read_split([(root / train, "train"), (root / test, "test")], _names)
    unknown = [f"'{name}' ({place})" for name, (_, place) in listed.items() if name not in people]
    if unknown:
        raise DataError(f"{root}: the lists name {len(unknown)} identities that have no images: {shortened(unknown)}")
    left_out = len(people) - len(listed)
    one_modality = sum(not all(people[name].values()) for name in listed)
    notes = [f"{left_out} identities are in neither list and are left out"] if left_out else []
    if one_modality:
        notes.append(f"{one_modality} identities of the lists have one modality only")
    return {name: split for name, (split, _) in listed.items()}, notes


def _names(path: Path) -> Iterator[tuple[int, str]]:
    lines = read_lines(path, "data.train_ids and data.test_ids name lists of identities, one name per line")
    for number, line in enumerate(lines, start=1):
        if line:
            yield number, unicodedata.normalize("NFC", line)


def _draw(source: EvaluationSet, setting: Setting) -> tuple[Draw, ...]:
    direction = BOTH_DIRECTIONS[setting.mode]
    if setting.shots == "whole":
        return whole_gallery(source.samples, direction)
    if not cameras_known(source.samples):
        raise DataError(
            f"{source.name}: {setting.gallery_words} galleries are drawn from each camera, and not every test image names "
            "its camera (…_c3….jpg): use --shots whole"
        )
    return community_draws(source.samples, direction, setting.shots)


_FIRST_PERSON = 3_000_000  # layouts never share a synthetic person
_PEOPLE = {"tiny": 24, "small": 80}
_ONE_MODALITY: dict[str, tuple[Modality, ...]] = {
    "tiny": ("visible", "visible", "infrared"),
    "small": ("visible", "visible", "visible", "infrared", "infrared", "infrared"),
}
_FEWEST_IMAGES = {"tiny": 2, "small": 4}
_NAMES_HAVE_CAMERAS = {"tiny": True, "small": False}
_LOOKS: dict[Modality, tuple[int, ...]] = {"visible": VISIBLE_LOOKS[:2], "infrared": INFRARED_LOOKS}
_SUFFIXES: dict[Modality, str] = {"visible": ".jpg", "infrared": ".png"}


def _plan(preset: Preset, seed: int) -> Plan:
    """Plan people whose names contain a blank, under two cameras per modality; some have one modality only."""
    count = size_of(_PEOPLE, preset, LAYOUT.name)
    jobs = [
        job
        for person in range(1, count + 1)
        for modality in MODALITIES
        for job in _jobs_of(person, f"person {person:03d}", modality, seed, preset)
    ]
    for place, modality in enumerate(_ONE_MODALITY[preset.name], start=1):
        jobs += _jobs_of(count + place, f"passer-by {place:02d}", modality, seed, preset)
    return Plan(tuple(jobs), {})


def _jobs_of(person: int, name: str, modality: Modality, seed: int, preset: Preset) -> Iterable[Job]:
    number = 0
    for camera in _LOOKS[modality]:
        for index in range(1, _FEWEST_IMAGES[preset.name] + (person + camera) % 2 + 1):
            number += 1
            suffix = f"_c{camera}" if _NAMES_HAVE_CAMERAS[preset.name] else ""
            path = f"{modality}/{name}/{name}{suffix}_{number:04d}{_SUFFIXES[modality]}"
            yield Job(seed, _FIRST_PERSON + person, camera, index, path)


FOLDER = DatasetSpec(
    layout=LAYOUT,
    read=read_folder,
    options=FolderOptions,
    split_is_drawn=True,
    split_advice=SplitAdvice(
        train_on_more="test nobody with data.test_share=0, or list more people in data.train_ids",
        test_others="list people who have both in data.test_ids (and the others in data.train_ids), draw others with "
        "data.split_seed, or test nobody with data.test_share=0",
    ),
    modes=BOTH_DIRECTIONS,
    usual_modes=tuple(BOTH_DIRECTIONS),
    shots=("single", "multi", "whole"),
    usual_shots=lambda samples: "single" if samples and cameras_known(samples) else "whole",
    protocols={"community": tuple(BOTH_DIRECTIONS)},
    match_rules=MatchRules(cmc_counts="images"),
    draw=_draw,
    synthetic=_plan,
    prepare_help="Resize your own images once into a store: visible/IDENTITY/* and infrared/IDENTITY/*, in any format.\n\n"
    "A file name that contains _c and a number names the camera (007_c3_12.png). Half of the identities, drawn at random, are "
    "the training split. Change that with data.split_seed and data.test_share, or list the identities in two files, one per "
    "line: data.train_ids and data.test_ids.",
    prepare_examples=(
        "lba prepare folder --root cameras",
        "lba prepare folder --root cameras --set data.split_seed=1 --set data.test_share=0.3",
        "lba prepare folder --root cameras --set data.train_ids=train.txt --set data.test_ids=test.txt",
    ),
)
