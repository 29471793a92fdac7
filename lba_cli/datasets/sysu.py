"""SYSU-MM01: images in ``cam1/0001``, by camera and 4-digit identity, and lists of identities in ``exp``.

Wu et al., RGB-Infrared Cross-Modality Person Re-Identification, ICCV 2017. Cameras 1, 2, 4 and 5 are visible, 3 and 6
infrared. Infrared images query galleries of visible images. Camera 3 looks at the same room as camera 2, so queries of
camera 3 ignore camera 2.
"""

from pathlib import Path

from lba_cli.data.samples import EvaluationSet, Listing, Sample, in_order
from lba_cli.datasets.galleries import (
    IMAGES_PER_CAMERA,
    NUM_DRAWS,
    all_images,
    community_galleries,
    directories_of_test,
)
from lba_cli.datasets.layout import SIGNED_AGREEMENT, Layout, name_of
from lba_cli.datasets.lists import read_identities, read_split, shortened
from lba_cli.datasets.misplaced import whereabouts
from lba_cli.datasets.permutations import SOURCE, load_permutations, official_gallery, permutations_file
from lba_cli.datasets.scan import Scan
from lba_cli.datasets.spec import (
    INFRARED_TO_VISIBLE,
    DatasetOptions,
    DatasetSpec,
    Draw,
    PublishedResult,
    Setting,
    Shortfall,
)
from lba_cli.datasets.sysu_inventory import CAMERAS, compare_with_inventory, entries_of_size, sysu_inventory
from lba_cli.errors import DataError
from lba_cli.match_rules import match_rules
from lba_cli.synthetic import Job, Plan, Preset
from lba_cli.vocabulary import Modality, Split, plural

INFRARED_CAMERAS = (3, 6)
GALLERY_CAMERAS = {"all-search": (1, 2, 4, 5), "indoor-search": (1, 2)}
MODALITY_OF_CAMERA: dict[int, Modality] = {c: "infrared" if c in INFRARED_CAMERAS else "visible" for c in CAMERAS}
CAMERA_FOLDERS = tuple(f"cam{camera}" for camera in CAMERAS)
ID_LISTS: tuple[tuple[str, Split], ...] = (("train_id.txt", "train"), ("val_id.txt", "train"), ("test_id.txt", "test"))
PERMUTATIONS = "rand_perm_cam.mat"
LAYOUT = Layout(
    name="sysu",
    title="SYSU-MM01",
    described="cam1…cam6 and exp",
    signs=CAMERA_FOLDERS,
    folders=(*CAMERA_FOLDERS, "exp"),
    lists=tuple(f"exp/{name}" for name, _ in ID_LISTS),
    source=SIGNED_AGREEMENT,
)


def read_sysu(root: Path, _: DatasetOptions | None = None) -> Listing:
    """List the images of SYSU-MM01. The identities of ``train_id.txt`` and ``val_id.txt`` are the training split.

    Raises:
        DataError: a folder is missing, or a list of identities is malformed.
    """
    LAYOUT.require(root)
    listed = read_split([(root / "exp" / name, split) for name, split in ID_LISTS], read_identities)
    scan = Scan()
    samples = in_order(
        sample
        for camera, modality in MODALITY_OF_CAMERA.items()
        for sample in scan.samples(root, f"cam{camera}", camera, modality, listed)
    )
    if not samples:
        raise DataError(f"{root}: none of the identities in exp/*.txt has an image under cam1…cam6{scan.reasons()}")
    notes = scan.notes()
    if unlisted := sorted(scan.unlisted - {entry.identity for entry in sysu_inventory() if entry.group == "unused"}):
        words = plural(
            len(unlisted), "identity is in none of the lists and is", "identities are in none of the lists and are"
        )
        notes.append(f"{len(unlisted)} {words} left out: {shortened(unlisted)}")
    if without := sorted(listed.keys() - {sample.identity for sample in samples}):
        words = plural(len(without), "identity of the lists has", "identities of the lists have")
        notes.append(f"{len(without)} {words} no images: {shortened(without)}")
    permutations = root / "exp" / PERMUTATIONS
    found = permutations.is_file()
    if not found and (hint := whereabouts(root, [f"exp/{PERMUTATIONS}"])[0]):
        notes.append(hint.rstrip())
    name = name_of(root, LAYOUT.title)
    return Listing(name, LAYOUT.name, root, samples, permutations if found else None, tuple(notes))


def _draw(source: EvaluationSet, setting: Setting) -> tuple[Draw, ...]:
    queried, searched = (directories_of_test(source.samples, modality) for modality in INFRARED_TO_VISIBLE)
    queries = all_images({key: images for key, images in queried.items() if key[1] in INFRARED_CAMERAS})
    cameras = GALLERY_CAMERAS[setting.mode]
    if setting.protocol == "community":
        seen = {key: images for key, images in searched.items() if key[1] in cameras}
        galleries = community_galleries(seen, setting.shots)
    else:
        if source.permutations is None:
            raise DataError(
                f"{source.name}: the official protocol needs exp/{PERMUTATIONS}, which is missing (--protocol community works "
                f"without it); {SOURCE}"
            )
        permutations, shots = load_permutations(source.permutations), IMAGES_PER_CAMERA[setting.shots]
        galleries = [official_gallery(searched, permutations, cameras, n, shots) for n in range(NUM_DRAWS)]
    return tuple(Draw(number, queries, gallery) for number, gallery in enumerate(galleries))


def _check_sample(sample: Sample) -> str:
    if MODALITY_OF_CAMERA.get(sample.camera) == sample.modality:
        return ""
    return f"SYSU-MM01's camera {sample.camera} is not {sample.modality}"


def _shortfalls(listing: Listing) -> list[Shortfall]:
    """Compare a copy of the real data set, or a synthetic one of the same size, with the inventory."""
    return compare_with_inventory(listing.samples) if listing.name in (LAYOUT.title, "synthetic-sysu") else []


def _plan(preset: Preset, seed: int) -> Plan:
    """Plan every image by identity, camera and index, the lists of identities, and the permutations."""
    entries = entries_of_size(preset.size)
    jobs = tuple(
        Job(seed, entry.identity, camera, index, f"cam{camera}/{entry.identity:04d}/{index:04d}.jpg")
        for entry in entries
        for camera in CAMERAS
        for index in range(1, entry.images[camera] + 1)
    )
    lists = {
        f"exp/{group}_id.txt": ",".join(str(e.identity) for e in entries if e.group == group).encode() + b"\n"
        for group in ("train", "val", "test")
    }
    images = {entry.identity: entry.images for entry in entries}
    return Plan(jobs, {**lists, f"exp/{PERMUTATIONS}": permutations_file(images, CAMERAS, seed)})


_ALL_SEARCH = Setting("all-search", "single", "community")
SYSU = DatasetSpec(
    layout=LAYOUT,
    read=read_sysu,
    default_root="datasets/SYSU-MM01",
    modes=dict.fromkeys(GALLERY_CAMERAS, INFRARED_TO_VISIBLE),
    usual_modes=("all-search",),
    shots=("single", "multi"),
    usual_shots=lambda _: "single",
    protocols=dict.fromkeys(("community", "official"), tuple(GALLERY_CAMERAS)),
    match_rules=match_rules("sysu"),
    draw=_draw,
    needs_cameras=True,
    check_sample=_check_sample,
    shortfalls=_shortfalls,
    published=(
        PublishedResult("baseline, retrained", _ALL_SEARCH, {"rank1": 0.5043, "mAP": 0.4954}),
        PublishedResult("full, retrained", _ALL_SEARCH, {"rank1": 0.5541, "mAP": 0.5414}),
        PublishedResult("full, released weights", _ALL_SEARCH, {"rank1": 0.5631, "mAP": 0.5522}),
        PublishedResult("AGW", _ALL_SEARCH, {"rank1": 0.4750, "mAP": 0.4765, "mINP": 0.3530}),
        PublishedResult("CAJ, with mirror images", _ALL_SEARCH, {"rank1": 0.6988, "mAP": 0.6689, "mINP": 0.5361}),
    ),
    synthetic=_plan,
    prepare_help="Resize SYSU-MM01 (cam1…cam6 and exp) once into a memory-mapped store.\n\n"
    "Training and evaluation use a store beside the data set's folder automatically. Name a store elsewhere with --data.",
    prepare_examples=(
        "lba prepare sysu",
        "lba prepare sysu --root /data/SYSU-MM01 --output /fast/sysu --npy",
        "lba prepare sysu --verify",
        "lba prepare sysu --set data.height=384 --set data.width=192",
    ),
)
