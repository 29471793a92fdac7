"""Every command and every line of code in README runs, here or in the test that is named; a new one that does neither fails."""

import ast
import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from small_setup import SMALL

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, flags=re.DOTALL)

# Commands in the order in which they are typed, each session in a folder of its own with data under the real names.
SESSIONS = {
    "SYSU-MM01": ("lba prepare sysu --npy", "lba evaluate --checkpoint sysu_pretrained.t --data datasets/SYSU-MM01"),
    "RegDB": (
        "lba prepare regdb",
        "lba prepare regdb --verify",
        "lba train --config configs/regdb.yaml --set data.trial=1",
        "lba train --config configs/regdb.yaml --trials all --output runs/regdb",
        "lba evaluate --trials all --checkpoint runs/regdb",
    ),
    "LLCM": ("lba prepare llcm",),
    "own folders": ("lba prepare folder --root DIR",),
    "synthetic": ("lba prepare synthetic --preset tiny",),
    "the newest run": (
        "lba train",
        "lba evaluate",
        "lba evaluate A B C",
        "lba embed photos --modality visible --output photos.npz",
        "lba search build photos --index gallery --modality visible",
        "lba search query gallery night.png --modality infrared",
    ),
    "no data": ("lba --help", 'python -c "import torch"'),
}
# Run before the code that starts from it.
EXPORT = "lba export --checkpoint lba-demo/run/checkpoints/best.pt --format onnx --output person.onnx"
HALF = "lba export --checkpoint lba-demo/run --data lba-demo/people-112x56 --format onnx --precision float16 --output half.onnx"
# Names of commands that can't be run without words of one's own: their help is shown.
NAMES = ("lba prepare", "lba export", "lba embed", "lba search", "lba visualize")
# Run by another test, which has the words given here.
ELSEWHERE = {
    "lba prepare sysu": ("cli/test_contract.py", "lba prepare sysu"),
    "lba train --method full": ("cli/test_contract.py", "lba train --method full"),
    "lba evaluate --mode all-search": ("cli/test_contract.py", "lba evaluate --mode all-search"),
    "lba visualize correspondences": ("cli/test_contract.py", "lba visualize correspondences"),
    "lba demo": ("cli/test_demo.py", 'lba("demo")'),  # minutes: slow
    # With two processes.
    "torchrun --standalone --nproc-per-node=4 -m lba_cli train --method full --output runs/on-four-gpus": (
        "integration/test_torchrun.py",
        '"torch.distributed.run", *where, "-m", "lba_cli"',
    ),
    "torchrun --standalone --nproc-per-node=4 -m lba_cli evaluate --checkpoint runs/on-four-gpus": (
        "integration/test_torchrun.py",
        '"evaluate"',
    ),
    "python tests/reliability/killed.py": ("reliability/test_killed.py", 'run("killed.py"'),
    "python tests/reliability/stopped.py": ("reliability/test_stopped.py", 'run("stopped.py"'),
    "python tests/reliability/full_disk.py": ("reliability/test_full_disk.py", 'run("full_disk.py"'),
}
# Not run by any test: why not. That their files, options and extras are there is checked.
NOT_RUN = {
    "lba --install-completion": "changes the start-up files of the shell that it is typed in",
    "pip install .": "installs",
    'pip install ".[dev]"': "installs",
    "python -m pytest": "these tests",
    "python -m pytest tests/benchmarks": "measures for twelve minutes; that both ways agree is tests/test_plain.py's",
    "python -m pytest tests/training/test_together.py": "these tests",
    "python -m pytest tests/integration/test_torchrun.py": "these tests",
    "python -m pytest -m slow tests/data": "these tests",
    "python -m pytest -m slow tests/search": "these tests",
    "python -m pytest -m slow tests/reliability/test_fuzz.py": "these tests",
    "python -m pytest tests/reliability/test_hostile_checkpoints.py": "these tests",
    "python tests/compare_methods.py FOLDER": "half an hour",
    "python tests/compare_methods.py FOLDER --size 64 32 --seeds 0 1 2 3": "minutes",
    "python tests/gpu_checks.py": "needs a GPU",
    "docker build -t lba .": "needs a Docker daemon and the network",
    'docker run --rm --gpus all --shm-size 8g --user "$(id -u):$(id -g)" -v "$PWD:/workspace" lba train --method full': (
        "needs a Docker daemon and a GPU"
    ),
}


def commands_of_the_readme():
    """Every command in a block without a language, and in inline code; once each."""
    lines = [line for language, code in BLOCKS if not language for line in code.splitlines()]
    spans = re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", README, flags=re.DOTALL))
    found = [" ".join(command.split()) for text in (*lines, *spans) for command in text.split(" && ")]
    return {
        command
        for command in found
        if re.match(r"(lba|torchrun|python3?|pip|docker|pytest|git|uv|cd|export|\w+=\S+) ", command)
    }


def test_every_command_is_run_or_listed():
    told = [*(c for session in SESSIONS.values() for c in session), EXPORT, HALF, *NAMES, *ELSEWHERE, *NOT_RUN]
    assert len(told) == len(set(told))
    found = commands_of_the_readme()
    assert found - set(told) == set(), "run it in a session, or say why not"
    assert set(told) - found == set(), "README has it no longer"


def test_a_command_is_found_wherever_it_stands(monkeypatch):
    monkeypatch.setitem(
        globals(), "README", "a `lba new\n  --thing` b\n```\nlba x && pip y\n```\n```python\nlba = 1\n```"
    )
    monkeypatch.setitem(globals(), "BLOCKS", re.findall(r"```(\w*)\n(.*?)```", README, flags=re.DOTALL))
    assert commands_of_the_readme() == {"lba new --thing", "lba x", "pip y"}


@pytest.fixture
def readers_folder(tmp_path, monkeypatch, trees, network_file, official_file):
    """What README supposes in the current folder, tiny: data sets, settings, checkpoints and pictures."""
    steps = {**SMALL, "train": {**SMALL["train"], "epochs": 1, "steps_per_epoch": 1}}
    (tmp_path / "lba.yaml").write_text(yaml.safe_dump(steps))
    (tmp_path / "configs").mkdir()
    for path in (ROOT / "configs").glob("*.yaml"):
        recipe = yaml.safe_load(path.read_text())
        tiny = {section: {**settings, **steps.get(section, {})} for section, settings in recipe.items()}
        (tmp_path / "configs" / path.name).write_text(yaml.safe_dump(tiny))
    (tmp_path / "datasets").mkdir()
    for layout, name in {"sysu": "SYSU-MM01", "regdb": "RegDB", "llcm": "LLCM"}.items():
        (tmp_path / "datasets" / name).symlink_to(trees[layout])
    (tmp_path / "DIR").symlink_to(trees["folder"])
    (tmp_path / "sysu_pretrained.t").symlink_to(official_file)
    checkpoint = tmp_path / "lba-demo" / "run" / "checkpoints" / "best.pt"
    checkpoint.parent.mkdir(parents=True)
    for path in (checkpoint, checkpoint.with_name("last.pt"), *(tmp_path / letter for letter in "ABC")):
        shutil.copy(network_file, path)
    people = {
        modality: sorted((trees["sysu"] / camera).glob("*/*.jpg"))
        for modality, camera in (("visible", "cam1"), ("infrared", "cam3"))
    }
    for modality, images in people.items():
        shutil.copy(images[0], tmp_path / f"{modality}.jpg")
    shutil.copytree(people["visible"][0].parent, tmp_path / "photos")
    shutil.copy(people["infrared"][0], tmp_path / "night.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


MADE = {
    "SYSU-MM01": ("datasets/SYSU-MM01-64x32/train_rgb_resized_img.npy",),
    "RegDB": ("runs/regdb/trial-10/checkpoints/best.pt",),
    "LLCM": ("datasets/LLCM-64x32/manifest.json",),
    "own folders": ("DIR-64x32/manifest.json",),
    "synthetic": ("datasets/synthetic-tiny/exp/test_id.txt",),
    "the newest run": ("photos.npz", "gallery/manifest.json"),
    "no data": (),
}


@pytest.mark.parametrize("session", SESSIONS)
def test_the_commands_run(lba, readers_folder, session):
    for command in SESSIONS[session]:
        program, *words = shlex.split(command)
        if program == "lba":
            lba(*words)
        else:
            subprocess.run([sys.executable, *words], check=True)
    for name in MADE[session]:
        assert (readers_folder / name).is_file(), name


@pytest.mark.parametrize("command", NAMES)
def test_names_of_commands_have_help(lba, command):
    shown = " ".join(lba(*command.split()[1:], "--help").output.split())
    assert re.search(rf"Usage: .*{command.removeprefix('lba ')} \[OPTIONS\]", shown)


def test_what_runs_elsewhere_does():
    for command, (name, words) in ELSEWHERE.items():
        assert words in (ROOT / "tests" / name).read_text(), command


def test_what_is_not_run_names_what_is_there(lba):
    for command in NOT_RUN:
        for path in re.findall(r"tests/[\w/.]+", command):
            assert (ROOT / path).exists(), command
            if path.endswith(".py"):
                ast.parse((ROOT / path).read_text())
    assert "--install-completion" in lba("--help").output
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "dev" in project["project"]["optional-dependencies"]
    assert {"slow", "gpu"} <= {marker.split(":")[0] for marker in project["tool"]["pytest"]["ini_options"]["markers"]}
    assert 'ENTRYPOINT ["lba"]' in (ROOT / "Dockerfile").read_text()


def python_block(word):
    (code,) = (code for language, code in BLOCKS if language == "python" and word in code)
    return code


def test_the_python_example_of_the_readme_runs_and_is_ten_lines_long(readers_folder, capsys):
    code = python_block("draw_correspondences")
    assert len([line for line in code.splitlines() if line]) <= 10
    names = {}
    exec(code, names)
    similarity = float(names["infrared"] @ names["visible"])
    assert -1 <= similarity <= 1
    assert capsys.readouterr().out == f"similarity {similarity:.3f}\n"
    assert (readers_folder / "correspondences.png").read_bytes().startswith(b"\x89PNG")


def write_kinds(folder):
    """Images of the kinds that cameras and programs write, 80 × 60 pixels; one has its orientation in EXIF."""
    folder.mkdir()
    shades = np.random.default_rng(0).integers(0, 65536, (10, 8), np.uint16)
    deep = np.kron(shades, np.ones((8, 8), np.uint16)) + np.arange(64, dtype=np.uint16) // 4
    photo = Image.fromarray(np.stack([deep >> 8, deep >> 9, 255 - (deep >> 8)], axis=2).astype(np.uint8))
    turned, clear = Image.Exif(), Image.fromarray((deep >> 8).astype(np.uint8))
    turned[0x0112] = 6
    photo.save(folder / "turned.jpg", exif=turned)
    photo.convert("CMYK").save(folder / "cmyk.jpg")
    photo.convert("L").save(folder / "gray.jpg", progressive=True)
    photo.convert("LA").save(folder / "gray-transparent.png")
    photo.convert("1").save(folder / "two-colours.png")
    photo.convert("P").save(folder / "palette.png", transparency=3)
    photo.save(folder / "frames.gif", save_all=True, append_images=[photo.rotate(180)])
    for ending in ("png", "tiff"):
        Image.fromarray(deep).save(folder / f"sixteen-bits.{ending}")
    photo.putalpha(clear)
    photo.save(folder / "transparent.png", exif=turned)


def test_the_plain_onnxruntime_example_gives_our_embeddings(readers_folder, lba):
    """The README's export, then its code in a process that has neither this package nor PyTorch, on images of many kinds."""
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    lba(*EXPORT.split()[1:])
    write_kinds(readers_folder / "kinds")
    blocked = "import sys; sys.modules.update(lba_cli=None, torch=None)\n"
    told = (
        "from pathlib import Path\n"
        'paths = sorted(map(str, Path("kinds").iterdir())) + ["infrared.jpg", "visible.jpg"]\n'
        "print(json.dumps([[embed(path, flag).tolist() for path in paths] for flag in (False, True)]))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", blocked + python_block("onnxruntime") + told],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    similarity, vectors = done.stdout.splitlines()
    found = np.asarray(json.loads(vectors))
    checkpoint = EXPORT.split()[3]
    for number, modality in enumerate(("visible", "infrared")):
        words = ("embed", "kinds", "infrared.jpg", "visible.jpg", "--modality", modality, "--checkpoint", checkpoint)
        lba(*words, "--output", f"{modality}.npz")
        ours = np.load(f"{modality}.npz")
        wanted = dict(zip(ours["paths"].tolist(), ours["features"], strict=True))
        assert len(wanted) == 12
        names = [*sorted(path for path in wanted if path.startswith("kinds")), "infrared.jpg", "visible.jpg"]
        for name, vector in zip(names, found[number], strict=True):
            np.testing.assert_allclose(vector, wanted[name], atol=1e-4, err_msg=name)
    assert similarity == f"similarity {found[1][-2] @ found[0][-1]:.3f}"


def test_what_half_precision_loses_is_measured(readers_folder, lba, store):
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    (readers_folder / "lba-demo" / "people-112x56").symlink_to(store)
    assert "exported; mAP" in lba(*HALF.split()[1:]).output
    assert "| exported, float16 |" in Path("half.onnx.md").read_text()
