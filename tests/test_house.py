"""The rules of the house: which package may import which, how modules are named, and how long things may be."""

import ast
import functools
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from lba_cli.datasets import DATASETS
from lba_cli.methods import METHODS

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "lba_cli"
FILES = sorted(PACKAGE.rglob("*.py"))
# Each package or top-level module imports only from the floors below its own.
FLOORS = [
    {"__init__", "vocabulary", "value_range", "match_rules", "errors", "randomness", "reporting"},
    {"locks", "signals"},
    {"files", "processes"},
    {"outputs", "manifest"},
    {"alignment"},
    {"compute"},
    {"synthetic", "data", "model"},
    {"datasets", "methods"},
    {"config"},
    {"evaluation", "export"},
    {"search"},
    {"training", "visualize"},
    {"cli"},
    {"__main__"},
]
NAMES_THAT_SAY_NOTHING = {
    *("pieces", "placing", "together", "keeping", "seen", "opening", "boundary", "losses", "run", "images"),
    *("utils", "common", "misc", "helpers"),
}
# Modules that share a name with a module of another package, and why the package makes the difference plain.
SHARED_NAMES = {
    "prepare": "the command of cli/, and the work it starts in data/",
    "evaluate": "the command of cli/, and the work it starts in evaluation/",
    "export": "the command of cli/, and the work it starts in export/",
    "ranking": "the figures in evaluation/, and their picture in visualize/",
    "masks": "the formula in alignment/, and its picture in visualize/",
    "correspondences": "the figures in evaluation/, and their picture in visualize/",
    "matching": "the formula in alignment/, and its part of the report",
    "people": "invented people in synthetic/, and the choice of people to draw in visualize/",
}
MAX_FILE_LINES, MAX_FUNCTION_LINES, MAX_PARAMETERS = 300, 60, 8


@functools.cache
def parsed(path):
    return ast.parse(path.read_text())


def relative(path):
    return str(path.relative_to(PACKAGE))


def room_of(path):
    """The package or top-level module that a file belongs to."""
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else path.stem


def floor_of(room):
    return next(level for level, rooms in enumerate(FLOORS) if room in rooms)


def imported_modules(path):
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "lba_cli":
            rooms = set().union(*FLOORS)
            yield from (f"lba_cli.{alias.name}" for alias in node.names if alias.name in rooms)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


def functions(path):
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def parameters(function):
    arguments = function.args
    names = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    return [name for name in names if name not in ("self", "cls")]


def commands():
    """The functions that are decorated with ``@command(…)``, or passed to ``command(…)``."""
    for path in (PACKAGE / "cli").glob("*.py"):
        for function in functions(path):
            if any(ast.unparse(decorator).startswith("command(") for decorator in function.decorator_list):
                yield function.name
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("command("):
                yield from (ast.unparse(argument) for argument in node.args)


def compared_strings(path):
    """The strings that a file compares something with, or distinguishes cases by."""
    for node in ast.walk(parsed(path)):
        sides = []
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
        elif isinstance(node, ast.MatchValue):
            sides = [node.value]
        for side in sides:
            elements = side.elts if isinstance(side, ast.Tuple | ast.List | ast.Set) else [side]
            for element in elements:
                if isinstance(element, ast.Constant) and isinstance(element.value, str):
                    yield node.lineno, element.value, ast.unparse(node)


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_imports_go_down(path):
    room = room_of(path)
    for module in imported_modules(path):
        if not module.startswith("lba_cli."):
            continue
        other = module.split(".")[1]
        allowed = other == room or floor_of(other) < floor_of(room)
        assert allowed, f"{relative(path)} (floor {floor_of(room)}) imports {module} (floor {floor_of(other)})"


def test_alignment_imports_only_torch_and_the_vocabulary():
    allowed = ("__future__", "typing", "collections.abc", "lba_cli.vocabulary")
    for path in (PACKAGE / "alignment").glob("*.py"):
        for module in imported_modules(path):
            assert module in allowed or module.startswith(("torch", "lba_cli.alignment")), (path.name, module)


@pytest.mark.parametrize("name", ["typer", "rich"])
def test_only_the_command_line_imports_its_libraries(name):
    users = {room_of(path) for path in FILES if any(m.split(".")[0] == name for m in imported_modules(path))}
    assert users == {"cli"}


def test_module_names_say_what_is_in_them():
    assert not [relative(path) for path in FILES if path.stem in NAMES_THAT_SAY_NOTHING]


def test_no_two_modules_share_a_name_without_a_reason():
    by_name = defaultdict(list)
    for path in FILES:
        by_name[path.stem].append(relative(path))
    shared = {name: paths for name, paths in by_name.items() if len(paths) > 1 and name != "__init__"}
    assert shared.keys() == SHARED_NAMES.keys(), {n: shared.get(n) for n in shared.keys() ^ SHARED_NAMES.keys()}
    assert all(len(paths) == 2 for paths in shared.values()), shared


def test_files_are_short():
    lengths = {relative(path): len(path.read_text().splitlines()) for path in FILES}
    assert not {name: length for name, length in lengths.items() if length > MAX_FILE_LINES}


def test_functions_are_short():
    lengths = {f"{relative(path)}: {f.name}": f.end_lineno - f.lineno + 1 for path in FILES for f in functions(path)}
    assert not {name: length for name, length in lengths.items() if length > MAX_FUNCTION_LINES}


def test_functions_have_few_parameters():
    """A command has as many as it has options."""
    exempt = set(commands())
    counts = {
        f"{relative(path)}: {function.name}": len(parameters(function))
        for path in FILES
        for function in functions(path)
        if not (room_of(path) == "cli" and function.name in exempt)
    }
    assert not {name: count for name, count in counts.items() if count > MAX_PARAMETERS}


def test_the_word_told_is_gone():
    found = [
        f"{relative(path)}:{number}: {line.strip()}"
        for path in sorted(PACKAGE.rglob("*"))
        if path.suffix in (".py", ".js", ".css", ".html", ".yaml")
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if re.search(r"\btold\b", line)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(("names", "owner"), [(METHODS, "methods"), (DATASETS, "datasets")], ids=["method", "data set"])
def test_only_its_owner_compares_a_name(names, owner):
    """Everything else asks the method's row or the data set's spec. A hair style may be called ``full``."""
    found = [
        f"{relative(path)}:{line}: {text}"
        for path in FILES
        if room_of(path) not in (owner, "synthetic")
        for line, value, text in compared_strings(path)
        if value in names
    ]
    assert not found, "\n".join(found)


def run_python(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_help_imports_nothing_heavy():
    output = run_python(
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
    assert "prepare" in output


def test_preparation_does_not_import_torch():
    run_python(
        "import sys, lba_cli.data.prepare, lba_cli.synthetic, lba_cli.datasets.open\nassert 'torch' not in sys.modules"
    )
