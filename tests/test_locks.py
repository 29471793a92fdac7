"""Two processes and one thing to write: who may, and what a dead one leaves."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from lba_cli import locks
from lba_cli.errors import LbaError
from lba_cli.files import whole_file, whole_folder, write_text
from lba_cli.locks import only_one

HOLDER = """
import sys, time
from pathlib import Path
from lba_cli.files import whole_file, whole_folder
from lba_cli.locks import only_one
what, path = sys.argv[1], Path(sys.argv[2])
with {"only_one": lambda: only_one(path, "training"), "whole_file": lambda: whole_file(path),
      "whole_folder": lambda: whole_folder(path)}[what]():
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder():
    """Start a process that holds or writes something; it is killed at the test's end."""
    started = []

    def start(what, path):
        process = subprocess.Popen([sys.executable, "-c", HOLDER, what, str(path)], stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_a_second_process_is_refused_with_the_first_ones_name(holder, tmp_path):
    process = holder("only_one", tmp_path / "lock")
    with pytest.raises(LbaError) as caught, only_one(tmp_path / "lock", "training into runs/a"):
        pass
    message = f"training into runs/a: process {process.pid} on host {socket.gethostname()} does that already, since "
    assert str(caught.value).startswith(message)
    assert (tmp_path / "lock").exists()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_the_lock_of_a_dead_process_is_taken_over(holder, tmp_path, end):
    process = holder("only_one", tmp_path / "lock")
    process.send_signal(end)
    process.wait()
    assert (tmp_path / "lock").exists()
    with only_one(tmp_path / "lock", "training"):
        assert json.loads((tmp_path / "lock").read_text())["process"] == os.getpid()
    assert not (tmp_path / "lock").exists()


@pytest.mark.parametrize("content", ["", "nonsense", "[]", '{"process": "x"}'])
def test_a_damaged_lock_file_is_taken_over(tmp_path, content):
    (tmp_path / "lock").write_text(content)
    with only_one(tmp_path / "lock", "training"):
        pass


def test_forked_processes_do_not_keep_a_lock(tmp_path):
    """Workers outlive a killed parent by seconds; its lock must not."""
    code = """
import os, sys, time
from pathlib import Path
from lba_cli.locks import only_one
with only_one(Path(sys.argv[1]), "training"):
    if os.fork() == 0:
        print("held", flush=True)
        time.sleep(30)
        os._exit(0)
    time.sleep(60)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "lock")], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout.readline() == "held\n"
    process.kill()
    process.wait()
    try:
        with only_one(tmp_path / "lock", "training"):
            pass
    finally:
        os.killpg(process.pid, signal.SIGKILL)


class TestWithoutLocksOnTheFileSystem:
    @pytest.fixture(autouse=True)
    def none(self, monkeypatch):
        monkeypatch.setattr(locks, "fcntl", None)

    def owner(self, path, process, host):
        path.write_text(json.dumps({"process": process, "host": host, "since": "yesterday"}))

    def test_a_live_process_of_this_host_is_respected(self, holder, tmp_path):
        process = holder("only_one", tmp_path / "other")
        self.owner(tmp_path / "lock", process.pid, socket.gethostname())
        with pytest.raises(LbaError, match=f"process {process.pid} on host"), only_one(tmp_path / "lock", "training"):
            pass

    def test_a_dead_one_is_not(self, holder, tmp_path):
        process = holder("only_one", tmp_path / "other")
        process.kill()
        process.wait()
        self.owner(tmp_path / "lock", process.pid, socket.gethostname())
        with only_one(tmp_path / "lock", "training"):
            pass

    def test_one_of_another_host_may_live(self, tmp_path):
        self.owner(tmp_path / "lock", 1, "elsewhere")
        wanted = pytest.raises(LbaError, match=r"host elsewhere.*remove .*lock if it has ended")
        with wanted, only_one(tmp_path / "lock", "training"):
            pass
        assert (tmp_path / "lock").exists()

    def test_files_are_still_written(self, tmp_path):
        write_text(tmp_path / "a.txt", "a")
        with whole_folder(tmp_path / "b") as folder:
            (folder / "x").write_text("x")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "b"]


@pytest.mark.parametrize("what", ["whole_file", "whole_folder"])
def test_what_a_killed_writer_left_is_swept_and_a_live_ones_is_not(holder, tmp_path, what):
    path = tmp_path / "out[1].x"
    dead, _live = holder(what, path), holder(what, path)
    dead.kill()
    dead.wait()
    assert len(list(tmp_path.iterdir())) == 2
    with whole_file(path) if what == "whole_file" else whole_folder(path):
        assert len(list(tmp_path.iterdir())) == 2, "the dead one's is gone; the live one's and this one's are there"
    assert len(list(tmp_path.glob(".out*"))) == 1


def test_only_what_this_program_left_is_swept(tmp_path):
    precious = tmp_path / ".st.backup.partial"
    precious.mkdir()
    (precious / "precious.txt").write_text("mine")
    (tmp_path / ".st.mine.partial.bak").write_text("mine")
    with whole_folder(tmp_path / "st"):
        pass
    assert (precious / "precious.txt").exists()
    assert (tmp_path / ".st.mine.partial.bak").exists()


def test_a_link_in_place_of_a_lock_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    (tmp_path / "lock").symlink_to("thesis.tex")
    with pytest.raises(OSError), only_one(tmp_path / "lock", "training"):
        pass
    assert (tmp_path / "thesis.tex").read_text() == "mine"


def test_network_file_systems_that_lock_only_what_is_open_for_writing(tmp_path, monkeypatch):
    import errno
    import fcntl

    def flock(descriptor, operation):
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, "Bad file descriptor")
        return real(descriptor, operation)

    real = fcntl.flock
    monkeypatch.setattr(locks.fcntl, "flock", flock)
    write_text(tmp_path / "a.txt", "a")
    with whole_folder(tmp_path / "b"), only_one(tmp_path / "lock", "training"):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "b"]


def test_where_nothing_can_be_locked_no_files_are_left(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "_is_at", lambda *_: False)
    with pytest.raises(OSError, match="can't be locked there"):
        write_text(tmp_path / "a.txt", "a")
    assert not list(tmp_path.iterdir())


def test_a_file_that_appeared_meanwhile_is_not_replaced(tmp_path):
    path = tmp_path / "x.json"
    with pytest.raises(FileExistsError) as caught, whole_file(path, replace=False) as partial:
        partial.write_text("ours")
        path.write_text("theirs")
    assert caught.value.filename == str(path)
    assert path.read_text() == "theirs"
    assert list(tmp_path.iterdir()) == [path]
    with whole_file(path) as partial:
        partial.write_text("ours")
    assert path.read_text() == "ours"


def test_two_trainings_and_two_preparations(small_yaml, store, tiny, tmp_path):
    """Through the commands, as real processes."""
    base = [sys.executable, "-m", "lba_cli"]
    train = [*base, "train", "--config", str(small_yaml), "--data", str(store), "--set", "train.steps_per_epoch=1000"]
    first = subprocess.Popen(
        [*train, "--output", "run"], cwd=tmp_path, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        deadline = time.monotonic() + 60
        while not (tmp_path / "run" / "config.yaml").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        for words in (["--output", "run"], ["--resume", "run"]):
            second = subprocess.run([*train, *words], cwd=tmp_path, capture_output=True, text=True, check=False)
            assert second.returncode == 2
            if words[0] == "--resume":
                assert f"training into run: process {first.pid} on host {socket.gethostname()}" in second.stderr
        first.send_signal(signal.SIGINT)
        assert first.wait(30) == 130
    finally:
        first.kill()
    lock = tmp_path / ".made.lock"
    with only_one(lock, "preparing made"):
        done = subprocess.run(
            [*base, "prepare", "sysu", "--root", str(tiny), "--output", "made"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert f"fake_dataset: process {os.getpid()} on host" in done.stderr
    assert not (tmp_path / "made").exists()
