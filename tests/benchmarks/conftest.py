"""The option ``--gpu``, and the table of results with the machine's name."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest
import timing
import torch


def pytest_addoption(parser):
    parser.addoption(
        "--gpu",
        action="store_true",
        help="run the benchmarks that need a CUDA device, and preparation, which depends on the machine's cores",
    )


def pytest_collection_modifyitems(config, items):
    asked = config.getoption("--gpu", default=False)
    for item in items:
        here = Path(__file__).parent in item.path.parents and not item.get_closest_marker("everywhere")
        if here and bool(item.get_closest_marker("gpu")) != asked:
            item.add_marker(pytest.mark.skip(reason="runs only without --gpu" if asked else "runs only with --gpu"))


def pytest_configure(config):
    config.addinivalue_line("filterwarnings", "ignore:This DataLoader will create:UserWarning")
    config.pluginmanager.register(PrintAtOnce(config), "benchmarks")


class PrintAtOnce:
    """Prints each row when it has been measured, so that an interrupted run shows what it has found."""

    def __init__(self, config):
        self.config, self.printed = config, 0

    def pytest_runtest_logfinish(self):
        reporter = self.config.pluginmanager.get_plugin("terminalreporter")
        for case in timing.TABLE[self.printed :]:
            reporter.ensure_newline()
            reporter.write_line(case.row(), flush=True)
        self.printed = len(timing.TABLE)


def pytest_terminal_summary(terminalreporter):
    if timing.TABLE:
        terminalreporter.section("benchmarks")
        terminalreporter.write_line(f"{machine()}; memory is counted beyond that of the program and its images\n")
        terminalreporter.write_line(timing.HEADER)
        for case in timing.TABLE:
            terminalreporter.write_line(case.row())


def machine():
    """Name the machine, for the table."""
    processor = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.is_file():
        names = [line.split(":", 1)[1].strip() for line in information.read_text().splitlines() if "model name" in line]
        processor = names[0] if names else processor
    words = f"{len(os.sched_getaffinity(0))} cores of {processor}, torch {torch.__version__}"
    return f"{torch.cuda.get_device_name()}, {words}" if torch.cuda.is_available() else words
