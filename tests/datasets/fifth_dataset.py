"""All about a made-up data set, whose folders day and night hold images named PERSON_cCAMERA_NUMBER.png."""

from itertools import product

from pydantic import Field

from lba_cli.data.samples import Listing, Sample, in_order
from lba_cli.datasets.galleries import community_draws
from lba_cli.datasets.layout import Layout, name_of
from lba_cli.datasets.scan import Scan, camera_in_name
from lba_cli.datasets.spec import INFRARED_TO_VISIBLE, VISIBLE_TO_INFRARED, DatasetOptions, DatasetSpec
from lba_cli.errors import DataError
from lba_cli.match_rules import MatchRules
from lba_cli.synthetic import Job, Plan

FOLDERS = {"day": "visible", "night": "infrared"}
LAYOUT = Layout("harbour", "Harbour", described="day and night", signs=tuple(FOLDERS), folders=tuple(FOLDERS))
MODES = {"night-to-day": INFRARED_TO_VISIBLE, "day-to-night": VISIBLE_TO_INFRARED}


class HarbourOptions(DatasetOptions):  # each field is a config key: data.fold
    fold: int = Field(0, ge=0, lt=5, description="which fifth of the people is the test split")


def read_harbour(root, options):
    LAYOUT.require(root)
    scan, samples = Scan(), []
    for folder, modality in FOLDERS.items():
        for image in scan.images(root / folder):
            if not image[:4].isdecimal():
                raise DataError(f"{root / folder / image}: a name should begin with the person's number, four digits")
            split = "test" if int(image[:4]) % 5 == options.fold else "train"
            samples.append(Sample(f"{folder}/{image}", int(image[:4]), camera_in_name(image), modality, split))
    return Listing(name_of(root, LAYOUT.title), LAYOUT.name, root, in_order(samples), notes=tuple(scan.notes()))


def plan_harbour(preset, seed):  # 20 synthetic people with two images under each of four cameras
    jobs = []
    for person, camera, number in product(range(20), (1, 2, 3, 6), (1, 2)):
        path = f"{'day' if camera < 3 else 'night'}/{person:04d}_c{camera}_{number}.png"
        jobs.append(Job(seed, person, camera, number, path))
    return Plan(tuple(jobs), files={})


HARBOUR = DatasetSpec(
    LAYOUT,
    read_harbour,
    MODES,
    draw=lambda source, setting: community_draws(source.samples, MODES[setting.mode], setting.shots),
    options=HarbourOptions,
    shots=("single", "multi"),
    usual_shots=lambda samples: "single",
    usual_modes=("night-to-day",),
    protocols={"community": tuple(MODES)},
    # Camera 3 sees by night what camera 1 sees by day, so that queries of one ignore images of the other.
    match_rules=MatchRules(ignore_camera_pairs=((3, 1), (1, 3)), cmc_counts="identities"),
    split_is_drawn=True,  # checkpoints record the training identities, which data.fold decides
    synthetic=plan_harbour,
)
