"""The installed package is typed: the wheel has the marker, and strict checks of users' scripts pass."""

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SCRIPT = """
import torch
from matplotlib.figure import Figure

import lba_cli.alignment, lba_cli.evaluation, lba_cli.export, lba_cli.methods, lba_cli.model, lba_cli.training, lba_cli.visualize
from lba_cli.alignment import align, sample_pairs
from lba_cli.evaluation import embed_images, rank_metrics
from lba_cli.export import ExportOptions, export
from lba_cli.model import TwoStreamNetwork, load_network
from lba_cli.model.checkpoint import read_checkpoint
from lba_cli.training import Objective, hard_triplet, parameter_groups
from lba_cli.visualize import draw_correspondences, save
from pathlib import Path

network: TwoStreamNetwork = load_network("net.pt", device="cpu")
vectors = embed_images(network, ["a.jpg", Path("b.jpg")], "visible")
metrics = rank_metrics(-(vectors @ vectors.T), vectors.argmax(1), vectors.argmax(1), protocol="plain")
first: float = metrics.mAP
figure: Figure = draw_correspondences(network, "a.jpg", "b.jpg")
save(figure, Path("c.png"))
loss, correct = hard_triplet(torch.rand(4, 8), torch.tensor([0, 0, 1, 1]))
done = export(network, read_checkpoint(Path("net.pt")).description, "onnx", Path("x.onnx"), ExportOptions(precision="float16"))
deviation: float = done.deviation
terms: dict[str, torch.Tensor] = Objective(method="full")(network, loss, loss, loss)
"""
WRONG = """
embed_images(network, ["a.jpg"], "thermal")
ExportOptions(precision="float17")
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The package as it is installed, built without a network."""
    pytest.importorskip("setuptools", minversion="77")
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    for name in ("lba_cli", "configs"):
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    code = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, source / "dist"], cwd=source, check=True, capture_output=True)
    (path,) = (source / "dist").glob("*.whl")
    return path


def test_the_wheel_has_the_marker_and_the_package(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    packaged = {str(path.relative_to(ROOT)) for path in (ROOT / "lba_cli").rglob("*.py")}
    assert {"lba_cli/py.typed", "lba_cli/datasets/sysu_inventory.csv", "lba_cli/configs/sysu.yaml", *packaged} <= names


@pytest.mark.long
def test_a_users_script_passes_a_strict_type_check(wheel, tmp_path):
    pytest.importorskip("mypy")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    (code,) = re.findall(r"```python\n(from lba_cli.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    (tmp_path / "script.py").write_text(SCRIPT + WRONG)
    (tmp_path / "readme.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "script.py", "readme.py"],
        cwd=tmp_path,
        env={"MYPYPATH": str(tmp_path / "site"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    wrong = [line for line in done.stdout.splitlines() if ": error:" in line]
    assert len(wrong) == 2, done.stdout + done.stderr
    assert all('incompatible type "Literal[' in line for line in wrong), wrong
