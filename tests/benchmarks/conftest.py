"""The machine and the table at the end."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest
import torch


def pytest_addoption(parser):
    parser.addoption(
        "--gpu",
        action="store_true",
        help="measure what needs a CUDA device, and preparing, which depends on the cores beside it",
    )


def pytest_collection_modifyitems(config, items):
    asked = config.getoption("--gpu", default=False)
    for item in items:
        here = Path(__file__).parent in item.path.parents and not item.get_closest_marker("everywhere")
        if here and bool(item.get_closest_marker("gpu")) != asked:
            item.add_marker(pytest.mark.skip(reason="with --gpu alone" if not asked else "without --gpu alone"))


def pytest_configure(config):
    config.addinivalue_line("filterwarnings", "ignore:This DataLoader will create:UserWarning")
    config.pluginmanager.register(AsTheyCome(config), "benchmarks")


class AsTheyCome:
    """Prints each line once it is measured: a run that is ended before its end has told what it found."""

    def __init__(self, config):
        self.config, self.told = config, 0

    def pytest_runtest_logfinish(self):
        reporter = self.config.pluginmanager.get_plugin("terminalreporter")
        for case in measuring.TABLE[self.told :]:
            reporter.ensure_newline()
            reporter.write_line(case.row(), flush=True)
        self.told = len(measuring.TABLE)


def pytest_terminal_summary(terminalreporter):
    if measuring.TABLE:
        terminalreporter.section("benchmarks")
        terminalreporter.write_line(f"{machine()}; memory: what the work takes beyond the program and its images\n")
        terminalreporter.write_line(measuring.HEADER)
        for case in measuring.TABLE:
            terminalreporter.write_line(case.row())


def machine():
    """What this is measured on, in words."""
    processor = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.is_file():
        names = [line.split(":", 1)[1].strip() for line in information.read_text().splitlines() if "model name" in line]
        processor = names[0] if names else processor
    words = f"{len(os.sched_getaffinity(0))} cores of {processor}, torch {torch.__version__}"
    return f"{torch.cuda.get_device_name()}, {words}" if torch.cuda.is_available() else words
