"""A user's own images: ``visible`` and ``infrared`` / identity / images, a CSV file, or paths that a pattern describes.

A file name that contains ``_c`` and a number names the camera, unless a CSV file or the pattern does. If the cameras of all
test images are known, galleries are drawn from each camera, as for SYSU-MM01; otherwise all test images of a modality form
one gallery. Queries ignore nothing, because a visible and an infrared camera of the same number are different cameras.
People with images in one modality only are distractors.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from lba_cli.data.samples import NO_CAMERA, EvaluationSet, Listing, Sample, in_order
from lba_cli.datasets.folder_csv import read_csv
from lba_cli.datasets.folder_pattern import PathPattern
from lba_cli.datasets.folder_split import FolderOptions, split_people
from lba_cli.datasets.folder_tree import read_by_pattern, read_folders
from lba_cli.datasets.galleries import cameras_known, community_draws, whole_gallery
from lba_cli.datasets.layout import Layout, name_of
from lba_cli.datasets.own_images import OwnImage, has_both, one_modality_words, people_of, spelling_notes
from lba_cli.datasets.spec import BOTH_DIRECTIONS, DatasetSpec, Draw, Setting, SplitAdvice
from lba_cli.errors import DataError, printable
from lba_cli.match_rules import MatchRules
from lba_cli.synthetic import Job, Plan, Preset
from lba_cli.synthetic.plan import INFRARED_LOOKS, VISIBLE_LOOKS, size_of
from lba_cli.vocabulary import MODALITIES, Modality

LAYOUT = Layout(
    name="folder",
    title="a folder of your own images",
    described="visible/IDENTITY and infrared/IDENTITY, or a CSV file, or what data.pattern says",
    signs=MODALITIES,
    folders=MODALITIES,
    list_suffix=".csv",
)


def read_folder(root: Path, options: FolderOptions | None = None) -> Listing:
    """List a user's own images, in any format that Pillow decodes.

    ``root`` is a folder, or a CSV file beside or above its images. Identities are numbered from 1 in the order of their names,
    independent of the split. Identities with one modality only are in the test split, as distractors, unless a list of
    identities or the images' own splits say otherwise.

    Raises:
        DataError: a folder or file is missing, there are no identities to train or test with, or a list is malformed.
    """
    options = options or FolderOptions()
    images, notes = _images(root, options)
    people = people_of(images)
    notes += spelling_notes(people)
    if not any(map(has_both, people.values())):
        reasons = [*filter(None, [one_modality_words(people)]), *notes] or ["there are no images"]
        raise DataError(f"{root}: no identity has images in both visible and infrared: {'; '.join(reasons)}")
    split_of, split_notes = split_people(root, people, options)
    number = {name: place for place, name in enumerate(people, start=1)}
    samples = in_order(
        Sample(image.path, number[name], image.camera, image.modality, split, name=name)
        for name, split in split_of.items()
        for image in people[name]
    )
    if not samples:
        raise DataError(f"{root}: the lists of identities are empty: name people to train and test with")
    folder = root.parent if root.is_file() else root
    name = name_of(folder, _title(root))
    return Listing(name, LAYOUT.name, folder, samples, None, (*notes, *split_notes))


def _images(root: Path, options: FolderOptions) -> tuple[list[OwnImage], list[str]]:
    """Return the images that the CSV file, the pattern or the folders at ``root`` describe, and notes for the user."""
    if root.is_file() or (root.suffix.lower() == LAYOUT.list_suffix and not root.exists()):
        images, notes = read_csv(root)
        return images, [*notes, *(["data.pattern has no effect on a CSV file"] if options.pattern else [])]
    if options.pattern:
        return read_by_pattern(root, PathPattern(options.pattern))
    LAYOUT.require(root)
    return read_folders(root)


def _title(root: Path) -> str:
    """Return the data set's name in reports: the name of its folder, or ``FOLDER/FILE.csv`` if it is a CSV file."""
    place = root.resolve()
    return f"{place.parent.name}/{root.name}" if root.is_file() else place.name or LAYOUT.title


def _camera_notes(samples: Sequence[Sample]) -> list[str]:
    """Return a list with a note about the test images without a camera; an empty list if all or none of them have one.

    Galleries aren't drawn from each camera if a test image has no camera.
    """
    lacking, cameras = _without_camera(samples), {sample.camera for sample in samples if sample.split == "test"}
    if not lacking or cameras == {NO_CAMERA}:
        return []
    return [f"{lacking}: galleries can't be drawn from each camera, so the whole gallery is used"]


def _without_camera(samples: Sequence[Sample]) -> str:
    """Return text that counts the test images without a camera and names an example; empty if every camera is known."""
    tested = [sample for sample in samples if sample.split == "test"]
    nameless = [printable(sample.path) for sample in tested if sample.camera == NO_CAMERA]
    return (
        f"the camera of {len(nameless)} of {len(tested)} test images is unknown (such as {nameless[0]})"
        if nameless
        else ""
    )


def _draw(source: EvaluationSet, setting: Setting) -> tuple[Draw, ...]:
    direction = BOTH_DIRECTIONS[setting.mode]
    if setting.shots == "whole":
        return whole_gallery(source.samples, direction)
    if lacking := _without_camera(source.samples):
        raise DataError(
            f"{source.name}: {setting.gallery_words} galleries are drawn from each camera, but {lacking}: use --shots whole"
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
    """Plan people under two cameras per modality, and some with one modality only. All names contain a space."""
    count = size_of(_PEOPLE, preset, LAYOUT.name)
    jobs = [
        job
        for person in range(1, count + 1)
        for modality in MODALITIES
        for job in _jobs_of(person, f"person {person:03d}", modality, seed, preset)
    ]
    for place, modality in enumerate(_ONE_MODALITY[preset.size], start=1):
        jobs += _jobs_of(count + place, f"passer-by {place:02d}", modality, seed, preset)
    return Plan(tuple(jobs), {})


def _jobs_of(person: int, name: str, modality: Modality, seed: int, preset: Preset) -> Iterable[Job]:
    number = 0
    for camera in _LOOKS[modality]:
        for index in range(1, _FEWEST_IMAGES[preset.size] + (person + camera) % 2 + 1):
            number += 1
            suffix = f"_c{camera}" if _NAMES_HAVE_CAMERAS[preset.size] else ""
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
    sample_notes=_camera_notes,
    draw=_draw,
    synthetic=_plan,
    prepare_help="Resize your own images once into a store, in any format: `visible/IDENTITY/*` and `infrared/IDENTITY/*`, or a CSV "
    "file with the columns path, identity, modality and, if they are known, camera and split; name it with --root.\n\n"
    "Images in other folders are described by data.pattern, such as `<modality>/<identity>_c<camera>_*`. Without it, `_c` and a "
    "number in a file name name the camera (`007_c3_12.png`). Half of the identities, drawn at random, are the training split. "
    "Change that with data.split_seed and data.test_share, or list the identities in two files, one per line: data.train_ids "
    "and data.test_ids.",
    prepare_examples=(
        "lba prepare folder --root cameras",
        "lba prepare folder --root cameras/images.csv",
        "lba prepare folder --root cameras --set 'data.pattern=<modality>/<identity>_c<camera>_*'",
        "lba prepare folder --root cameras --set data.split_seed=1 --set data.test_share=0.3",
        "lba prepare folder --root cameras --set data.train_ids=train.txt --set data.test_ids=test.txt",
    ),
)
