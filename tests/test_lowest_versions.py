"""The constraints of ``.ci/lowest`` are the lower bounds in ``pyproject.toml``."""

import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

TESTS = Path(__file__).parent


def test_lowest_versions_are_the_lower_bounds():
    project = tomllib.loads((TESTS.parent / "pyproject.toml").read_text())["project"]
    bounds = {}
    for line in project["dependencies"]:
        requirement = Requirement(line)
        (bound,) = (each.version for each in requirement.specifier if each.operator == ">=")
        bounds[requirement.name] = Version(bound)
    lines = (TESTS / "lowest-versions.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert {name: Version(version) for name, version in pins.items()} == bounds
