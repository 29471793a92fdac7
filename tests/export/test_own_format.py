"""A format of one's own is written, compared and described like the package's, by the command line as well."""

import subprocess
import sys
from copy import deepcopy

import numpy as np
import pytest
from export import own_format

from lba_cli.export.export import FORMATS


@pytest.fixture
def registered(monkeypatch):
    monkeypatch.setitem(FORMATS, "npz", own_format.NPZ)


def test_the_command_writes_it(registered, lba, network_file, tmp_path):
    words = ("export", "--checkpoint", network_file, "--format", "npz", "--output", "person.npz")
    assert "person.npz: equals the trained network within" in lba(*words).output
    assert "stems.visible.conv1.weight" in np.load(tmp_path / "person.npz")
    assert "`person.npz`" in (tmp_path / "person.npz.md").read_text()
    assert "exists already" in lba(*words, status=2).output
    assert "not --precision bfloat16" in lba(*words, "--precision", "bfloat16", "--force", status=2).output


def test_other_weights_than_the_network_s_are_not_kept(monkeypatch, lba, network_file, tmp_path):
    def write(network, description, path, contents):
        other = deepcopy(network)
        other.stems["visible"].conv1.weight.data.zero_()
        own_format.write_npz(other, description, path, contents)

    form = own_format.Format(write, own_format.load_npz, ".npz", stems=("one",))
    monkeypatch.setitem(FORMATS, "npz", form)
    words = ("export", "--checkpoint", network_file, "--format", "npz", "--output", "person.npz")
    assert "deviate" in lba(*words, status=2).output
    assert not list(tmp_path.glob("person*"))


def test_a_format_that_is_not_registered_is_refused(lba, network_file):
    words = ("export", "--checkpoint", network_file, "--format", "npz", "--output", "person.npz")
    assert "there is no export format 'npz'; valid: onnx, pt2, safetensors, official" in lba(*words, status=2).output


@pytest.mark.slow
def test_the_file_runs_as_a_program(network_file, tmp_path):
    words = ("export", "--checkpoint", network_file, "--format", "npz", "--output", "person.npz", "--no-card")
    subprocess.run([sys.executable, own_format.__file__, *map(str, words)], cwd=tmp_path, check=True)
    assert (tmp_path / "person.npz").is_file()
