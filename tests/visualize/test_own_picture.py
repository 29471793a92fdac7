"""A picture of one's own, as a function and as a command."""

import subprocess
import sys

import pytest
import visualize.own_picture
from visualize.own_picture import mean_masks

from lba_cli.model import load_network
from lba_cli.visualize.people import PictureOptions


def test_the_function_draws_both_modalities(network_file, source):
    figure = mean_masks(load_network(network_file), source, PictureOptions(people=2))
    assert [axes.get_title() for axes in figure.axes] == ["visible", "infrared"]


@pytest.mark.slow
def test_the_file_runs_as_a_program_with_a_command_of_its_own(network_file, tmp_path):
    program = visualize.own_picture.__file__
    words = ("visualize", "mean-masks", "--checkpoint", str(network_file), "--output", "mean.png")
    subprocess.run([sys.executable, program, *words], cwd=tmp_path, check=True)
    assert (tmp_path / "mean.png").read_bytes().startswith(b"\x89PNG")
    again = subprocess.run([sys.executable, program, *words], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert again.returncode == 2
    assert "mean.png: exists already; name another file with --output, or replace it with --force" in again.stderr
