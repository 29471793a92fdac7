"""The house: who may import whom, and what the rooms look like."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "lba_cli"
FILES = sorted(path for path in PACKAGE.rglob("*.py"))
FLOORS = [
    {
        "vocabulary",
        "errors",
        "locks",
        "signals",
        "files",
        "outputs",
        "manifest",
        "reporting",
        "randomness",
        "processes",
        "__init__",
    },
    {"alignment"},
    {"config", "settings", "compute", "data", "model"},
    {"evaluation", "export"},
    {"search"},
    {"training", "visualize"},
    {"cli", "__main__"},
]
ROOMS = set().union(*FLOORS)
# Rooms of one floor that may look at each other.
NEIGHBOURS = {
    ("__main__", "cli"),
    ("settings", "config"),
    ("data", "config"),
    ("model", "config"),
    ("files", "locks"),
    ("outputs", "files"),
    ("outputs", "errors"),
    ("manifest", "files"),
    ("manifest", "errors"),
    ("locks", "errors"),
    ("signals", "errors"),
    ("processes", "errors"),
    ("processes", "signals"),
}


def room_of(path):
    relative = path.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def floor_of(room):
    return next(level for level, rooms in enumerate(FLOORS) if room in rooms)


def imported_modules(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "lba_cli":
            yield from (f"lba_cli.{alias.name}" for alias in node.names if alias.name in ROOMS)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down(path):
    room = room_of(path)
    for module in imported_modules(path):
        if module == "lba_cli" or not module.startswith("lba_cli."):
            continue
        other = module.split(".")[1]
        allowed = other == room or floor_of(other) < floor_of(room) or (room, other) in NEIGHBOURS
        assert allowed, f"{path.name} in {room} imports {module}"


def test_alignment_imports_torch_and_the_vocabulary_alone():
    for path in (PACKAGE / "alignment").glob("*.py"):
        for module in imported_modules(path):
            assert module in ("__future__", "typing", "lba_cli.vocabulary") or module.startswith(
                ("torch", "lba_cli.alignment")
            )


@pytest.mark.parametrize("name", ["typer", "rich"])
def test_the_command_lines_libraries_stay_in_cli(name):
    for path in FILES:
        if room_of(path) != "cli":
            assert all(module.split(".")[0] != name for module in imported_modules(path)), path


def test_files_and_functions_fit_on_a_page():
    for path in FILES:
        text = path.read_text()
        assert len(text.splitlines()) <= 300, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno + 1 <= 60, f"{path}: {node.name}"


def test_help_imports_nothing_heavy():
    code = (
        "import sys; sys.argv = ['lba', '--help']\n"
        "from lba_cli.__main__ import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'matplotlib', 'numpy', 'scipy', 'PIL', 'torchvision', 'yaml'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "from lba_cli.cli.app import COMMANDS\n"
        "read = {f'lba_cli.cli.{name}' for name in COMMANDS} & set(sys.modules)\n"
        "assert not read, read\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "prepare" in done.stdout


def test_preparing_imports_no_torch():
    code = (
        "import sys, lba_cli.data.prepare, lba_cli.data.synthetic, lba_cli.data.open; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
