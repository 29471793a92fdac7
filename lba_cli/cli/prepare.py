"""``lba prepare``: from a data set's folder to a store; or draw a synthetic data set."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from lba_cli.cli.boundary import guarded
from lba_cli.cli.deferred import commands
from lba_cli.cli.options import Assignments, ConfigFile, Debug, examples, load_config
from lba_cli.cli.preparing import Request, prepare_store
from lba_cli.vocabulary import Dataset

app = commands()

Root = Annotated[
    Path | None, typer.Option(metavar="DIR", help="The data set's folder [data.root].", show_default=False)
]
Output = Annotated[
    Path | None, typer.Option(metavar="DIR", help="The store to make; by default beside the root.", show_default=False)
]
Npy = Annotated[bool, typer.Option("--npy", help="Also write the field's four train_*_resized_*.npy into the store.")]
SkipBroken = Annotated[
    bool, typer.Option("--skip-broken", help="Leave out images that can't be decoded, and record them.")
]
Verify = Annotated[
    bool, typer.Option("--verify", help="Make nothing: check the store that is there, every byte of it.")
]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes; all cores by default.", show_default=False)]


@app.command(
    epilog=examples(
        "lba prepare sysu",
        "lba prepare sysu --root /data/SYSU-MM01 --output /fast/sysu --npy",
        "lba prepare sysu --verify",
        "lba prepare sysu --set data.height=384 --set data.width=192",
    )
)
@guarded
def sysu(
    root: Root = None,
    output: Output = None,
    npy: Npy = False,
    skip_broken: SkipBroken = False,
    verify: Verify = False,
    workers: Workers = None,
    config: ConfigFile = None,
    assignments: Assignments = None,
    debug: Debug = False,
) -> None:
    """Resize SYSU-MM01 (cam1…cam6 and exp) once into a memory-mapped store.

    Training and evaluation find a store beside the root by themselves; name one elsewhere with their --data.
    """
    prepare_store("sysu", Request(root, output, skip_broken, verify, workers, config, assignments, npy))


def _offer(dataset: Dataset, description: str, *lines: str) -> None:
    """Make ``lba prepare DATASET`` a command; ``lines`` are its examples."""

    @app.command(dataset, help=description, epilog=examples(*lines))
    @guarded
    def command(
        root: Root = None,
        output: Output = None,
        skip_broken: SkipBroken = False,
        verify: Verify = False,
        workers: Workers = None,
        config: ConfigFile = None,
        assignments: Assignments = None,
        debug: Debug = False,
    ) -> None:
        prepare_store(dataset, Request(root, output, skip_broken, verify, workers, config, assignments))


_offer(
    "regdb",
    "Resize RegDB (Visible, Thermal and idx) once into a store that serves all ten splits.\n\n"
    "Training and evaluation take one of them: --set data.trial=1 to 10.",
    "lba prepare regdb",
    "lba prepare regdb --root /data/RegDB --output /fast/regdb --skip-broken",
)
_offer(
    "llcm",
    "Resize LLCM (idx, test_vis, test_nir and the training folders) once into a store.",
    "lba prepare llcm",
    "lba prepare llcm --root /data/LLCM --output /fast/llcm --skip-broken",
)
_offer(
    "folder",
    "Resize your own images once into a store: visible/IDENTITY/* and infrared/IDENTITY/*, any names, any format.\n\n"
    "A name with _c and a number in it tells the camera (007_c3_12.png). Half of the identities, drawn by seed, are "
    "trained on; change that by data.split_seed and data.test_share, or name them in two files, one identity a line.",
    "lba prepare folder --root cameras",
    "lba prepare folder --root cameras --set data.split_seed=1 --set data.test_share=0.3",
    "lba prepare folder --root cameras --set data.train_ids=train.txt --set data.test_ids=test.txt",
)


@app.command(
    epilog=examples(
        "lba prepare synthetic --preset tiny --output datasets/SYSU-MM01",
        "lba prepare synthetic --preset tiny --layout regdb",
        "lba prepare synthetic --preset sysu --seed 7",
    )
)
@guarded
def synthetic(
    preset: Annotated[
        str,
        typer.Option(metavar="tiny|small|sysu", help="How many people and images; sysu: the real one's exact counts."),
    ] = "small",
    layout: Annotated[Dataset, typer.Option(help="Whose folders and lists are written; sysu: SYSU-MM01's.")] = "sysu",
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="The folder to make; default: datasets/synthetic-PRESET[-LAYOUT].", show_default=False
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of everything that is drawn.")] = 0,
    workers: Workers = None,
    config: ConfigFile = None,
    assignments: Assignments = None,
    debug: Debug = False,
) -> None:
    """Draw people under visible and near-infrared cameras, in any data set's layout on disk. No real person is shown."""
    from lba_cli.cli.console import listener
    from lba_cli.cli.console import output as out
    from lba_cli.data.synthetic import write_dataset

    told = listener()
    load_config(config, assignments, {}, told)
    usual = f"synthetic-{preset}" if layout == "sysu" else f"synthetic-{preset}-{layout}"
    place = output or Path("datasets") / usual
    written = write_dataset(preset, place, layout=layout, seed=seed, workers=workers, listener=told)
    out().print(
        f"{written.images:,} images of {written.identities} people are in {place}. "
        f"Next: lba prepare {layout} --root {shlex.quote(str(place))}",
        markup=False,
        soft_wrap=True,
    )
