"""Every command in the documentation is run here, or in a test that is named, or a reason says why not."""

import ast
import re
import shlex
import subprocess
import sys
import tomllib

import pytest
from docs.pages import PAGES, ROOT, commands

from lba_cli.cli import run_series

# Commands in the order in which a reader types them, each session in a folder of its own (see conftest.py).
SESSIONS = {
    "SYSU-MM01": (
        "lba prepare sysu --npy",
        "lba prepare sysu --set data.height=384 --set data.width=192",
    ),
    "RegDB": (
        "lba prepare regdb",
        "lba prepare regdb --verify",
        "lba train --config configs/regdb.yaml --trials all --output runs/regdb",
        "lba evaluate --trials all --checkpoint runs/regdb",
    ),
    "AGW and CAJ": (
        "lba train --config configs/sysu-strong.yaml",
        "lba train --config configs/agw.yaml",
        "lba train --config configs/caj.yaml",
        "lba train --config configs/agw.yaml --set data.root=datasets/RegDB --trials all",
        "lba train --config configs/caj.yaml --set data.root=datasets/RegDB --trials all",
        "lba train --method caj --set loss.identity_consistency=1 --set loss.dense_triplet=0.5",
    ),
    "LLCM": ("lba prepare llcm",),
    "synthetic": (
        "lba prepare synthetic --preset tiny",
        "lba prepare synthetic --preset tiny --layout folder --output datasets/people",
    ),
    "photos": (
        "lba prepare folder --root photos",
        "lba train --data photos",
        "lba export --format onnx --output person.onnx",
        "lba search build photos/visible --index gallery --modality visible",
        "lba search query gallery night.png --modality infrared",
        "lba search query gallery night.png --modality infrared --top 20 --json ranks.json --picture ranks.png",
        "lba evaluate --verification --json thresholds.json",
        "lba search build photos/visible --index people --modality visible --thresholds thresholds.json",
        "lba export --format onnx --precision int8 --data photos --json int8.json --output person-int8.onnx",
        "lba search build photos/visible --index int8 --modality visible --model person-int8.onnx --thresholds int8.json",
        "lba search add gallery new-photos",
        "lba search remove gallery photos/visible/anna",
        "lba search info gallery",
        "lba search build photos/visible --index people --modality visible --engine milvus",
        "lba search query people night.png --modality infrared --engine milvus",
        "lba search add people new-photos --engine milvus",
        "lba search remove people photos/visible/anna --engine milvus",
        "lba search info people --engine milvus",
    ),
    "the newest run": (
        "lba train",
        "lba train --method full --set loss.identity_consistency=0",
        "lba train --method full --set loss.dense_triplet=0",
        "lba train --method full --set alignment.weighting=per_position",
        "lba train --method full --set alignment.weighting=uniform",
        "lba train --method full --set alignment.masks=false",
        "lba evaluate",
        "lba evaluate A B C",
        "lba evaluate --features features.npz --protocol-of sysu",
        "lba visualize curves",
        "lba embed photos --modality visible --output photos.npz",
    ),
    "seeds": (
        "lba train --method baseline --seeds 0 1 2 --output runs/baseline-seeds",
        "lba train --method full --seeds 0 1 2 --output runs/full-seeds",
        "lba evaluate runs/baseline-seeds runs/full-seeds",
        "lba visualize curves --run runs/full-seeds",
    ),
    "no data": ("lba --help", 'python -c "import torch"', "lba doctor"),
}
# What a session needs before its first command.
BEFORE = {"the newest run": ("lba evaluate --checkpoint A --data datasets/SYSU-MM01 --save-features features.npz",)}
# A file that each session leaves.
LEFT = {
    "SYSU-MM01": "datasets/SYSU-MM01-64x32/train_rgb_resized_img.npy",
    "RegDB": "runs/regdb/trial-2/checkpoints/best.pt",
    "AGW and CAJ": "runs",
    "LLCM": "datasets/LLCM-64x32/manifest.json",
    "synthetic": "datasets/people/visible",
    "photos": "ranks.png",
    "the newest run": "photos.npz",
    "seeds": "runs/full-seeds/seed-2/checkpoints/last.pt",
    "no data": "lba.yaml",
}
QUICK = ("no data",)
# Names of commands, which need words of one's own: their help is shown.
NAMES = (*("lba prepare", "lba prepare synthetic", "lba export", "lba visualize", "lba embed", "lba search"),)
# Commands that another test runs, which has the words given here.
ELSEWHERE = {
    "lba prepare sysu": ("cli/test_contract.py", "lba prepare sysu"),
    "lba train --method full": ("cli/test_contract.py", "lba train --method full"),
    "lba evaluate --mode all-search": ("cli/test_contract.py", "lba evaluate --mode all-search"),
    "lba visualize correspondences": ("cli/test_contract.py", "lba visualize correspondences"),
    "lba demo": ("cli/test_demo.py", 'lba("demo")'),
    # With a rate that fewer images can tell.
    "lba search query people night.png --modality infrared --far 0.001": ("cli/test_verification.py", '"--far", 0.1'),
    "lba prepare synthetic --truth": ("synthetic/test_truth.py", "truth=True"),
    "lba evaluate --correspondences": ("cli/test_correspondences.py", '"--correspondences"'),
    "lba evaluate runs/baseline runs/full --correspondences": ("cli/test_correspondences.py", '"--correspondences"'),
    "lba export --checkpoint lba-demo/run --format onnx --output person.onnx": (
        "docs/test_python_examples.py",
        "lba-demo/run --format",
    ),
    "lba prepare folder --root photos/people.csv": ("integration/test_own_images.py", '"--root", images'),
    "lba train --data photos/people.csv": ("integration/test_own_images.py", '"--data", images'),
    "lba train --data photos --set 'data.pattern=<modality>/<identity>_c<camera>s*'": (
        "integration/test_own_images.py",
        '"--data", "market", "--set", PATTERN',
    ),
    # With two processes instead of four.
    "torchrun --standalone --nproc-per-node=4 -m lba_cli train --method full --output runs/on-four-gpus": (
        "integration/test_torchrun.py",
        '"torch.distributed.run", *where, "-m", "lba_cli"',
    ),
    "torchrun --standalone --nproc-per-node=4 -m lba_cli evaluate --checkpoint runs/on-four-gpus": (
        "integration/test_torchrun.py",
        '"evaluate"',
    ),
    "torchrun --standalone --nproc-per-node=2 -m lba_cli embed photos --modality visible --output photos.npz": (
        "search/test_embed_together.py",
        '("embed", *common',
    ),
    "torchrun --standalone --nproc-per-node=2 -m lba_cli search build photos --index gallery --modality visible": (
        "search/test_embed_together.py",
        '("search", "build", *common',
    ),
    "python own_method.py train --method centred": ("methods/test_own_method.py", "own_method.__file__"),
    "python tests/reliability/killed.py": ("reliability/test_killed.py", 'run("killed.py"'),
    "python tests/reliability/stopped.py": ("reliability/test_stopped.py", 'run("stopped.py"'),
    "python tests/reliability/full_disk.py": ("reliability/test_full_disk.py", 'run("full_disk.py"'),
}
# Commands that no test runs, and why. The files that they name are there.
NOT_RUN = {
    "pip install .": "installs",
    'pip install ".[dev]"': "installs",
    'pip install ".[onnx]"': "installs",
    "python -m pytest": "runs these tests",
    "python -m pytest tests/benchmarks": "measures for minutes; tests/test_plain.py shows that both ways agree",
    "python -m pytest tests/benchmarks/bench_training.py": "measures for minutes",
    "python -m pytest tests/benchmarks/bench_formats.py": "measures for minutes",
    "python -m pytest tests/reliability/test_hostile_checkpoints.py": "runs these tests",
    "python -m pytest -m long tests/reliability/test_fuzz.py": "runs these tests",
    "python -m pytest -m long tests/integration/test_held_back_people.py": "runs these tests",
    "python -m pytest -m slow tests/test_platforms.py": "runs these tests",
    "python -m pytest -m long tests/search/test_milvus.py": "runs these tests",
    "python tests/ablations.py FOLDER": "takes hours",
    "python tests/alignment_experiment.py FOLDER --jobs 12": "takes a day without a GPU",
    "python tests/compare_methods.py FOLDER": "takes half an hour",
    "python tests/compare_methods.py FOLDER --size 64 32 --seeds 0 1 2 3": "takes minutes",
    "python tests/benchmarks/training_memory.py --size 144 72": "takes minutes and 2 GB",
    "python tests/benchmarks/embedding_variants.py": "takes a minute, and measures times",
    "python tests/gpu_checks.py": "needs a GPU",
    "docker build -t lba .": "needs a Docker daemon and the network",
    'docker run --rm --gpus all --shm-size 8g --user "$(id -u):$(id -g)" -v "$PWD:/workspace" lba train --method full': (
        "needs a Docker daemon and a GPU"
    ),
}
# The commands of CONTRIBUTING.md are for developers.
DOCUMENTED = {c: page.name for page in PAGES if page.name != "CONTRIBUTING.md" for c in commands(page.read_text())}


def test_every_command_is_run_or_listed():
    listed = [*(c for session in SESSIONS.values() for c in session), *NAMES, *ELSEWHERE, *NOT_RUN]
    assert len(listed) == len(set(listed))
    assert DOCUMENTED.keys() - set(listed) == set(), "run it in a session, or say why not"
    assert set(listed) - DOCUMENTED.keys() == set(), "no page has it any more"


def test_commands_are_found_in_blocks_and_in_lines():
    assert commands("a `lba new\n  --thing` b\n```\nlba x && pip y\n```\n```python\nlba = 1\n```") == [
        *("lba x", "pip y", "lba new --thing"),
    ]


@pytest.mark.parametrize(
    "session",
    [pytest.param(s, marks=[] if s in QUICK else [pytest.mark.slow, pytest.mark.timeout(1200)]) for s in SESSIONS],
)
def test_the_commands_run(lba, readers_folder, session, monkeypatch):
    monkeypatch.setattr(run_series, "TRIALS", (1, 2) if session == "RegDB" else (1,))  # ten would take minutes
    for command in (*BEFORE.get(session, ()), *SESSIONS[session]):
        program, *words = shlex.split(command)
        if program == "lba":
            lba(*words)
        else:
            subprocess.run([sys.executable, *words], check=True)
    assert (readers_folder / LEFT[session]).exists()


@pytest.mark.parametrize("command", NAMES)
def test_names_of_commands_have_help(lba, command):
    shown = " ".join(lba(*command.split()[1:], "--help").output.split())
    assert re.search(rf"Usage: .*{command.removeprefix('lba ')} \[OPTIONS\]", shown)


def test_commands_that_run_elsewhere_do():
    for command, (name, words) in ELSEWHERE.items():
        assert words in (ROOT / "tests" / name).read_text(), command


def test_commands_that_do_not_run_name_existing_files():
    for command in NOT_RUN:
        for path in re.findall(r"tests/[\w/.]+", command):
            assert (ROOT / path).exists(), command
            if path.endswith(".py"):
                ast.parse((ROOT / path).read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "dev" in project["project"]["optional-dependencies"]
    assert {"slow", "gpu"} <= {marker.split(":")[0] for marker in project["tool"]["pytest"]["ini_options"]["markers"]}
    assert 'ENTRYPOINT ["lba"]' in (ROOT / "Dockerfile").read_text()
