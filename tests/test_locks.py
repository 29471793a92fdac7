"""Two processes and one output: which one may write, and what a killed one leaves behind."""

import errno
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress

import pytest

from lba_cli import files
from lba_cli.errors import LbaError
from lba_cli.files import whole_file, whole_folder, write_text
from lba_cli.locks import exclusive

HOLDER = """
import sys, time
from pathlib import Path
from lba_cli.files import whole_file, whole_folder
from lba_cli.locks import exclusive
what, path = sys.argv[1], Path(sys.argv[2])
with {"exclusive": lambda: exclusive(path, "training"), "whole_file": lambda: whole_file(path),
      "whole_folder": lambda: whole_folder(path)}[what]():
    print("held", flush=True)
    time.sleep(60)
"""
FORKING_HOLDER = """
import os, sys, time
from pathlib import Path
from lba_cli.locks import exclusive
try:
    with exclusive(Path(sys.argv[1]), "training"):
        child = os.fork()
        if not child and sys.argv[2] == "stays":
            print("held", flush=True)
            time.sleep(30)
        elif child:
            if sys.argv[2] == "leaves":
                os.waitpid(child, 0)
                print("held", flush=True)
            time.sleep(60)
finally:
    if not child:
        os._exit(0)
"""


@pytest.fixture
def start():
    """Start a process that prints "held"; it and its children are killed when the test ends."""
    started = []

    def start(code, *words):
        process = subprocess.Popen(
            [sys.executable, "-c", code, *map(str, words)], stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture
def holder(start):
    """Start a process that holds a lock or is writing something."""
    return lambda what, path: start(HOLDER, what, path)


def kill(process):
    process.kill()
    process.wait()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_second_process_is_refused_and_the_first_one_is_named(holder, tmp_path):
    process = holder("exclusive", tmp_path / "lock")
    with pytest.raises(LbaError) as caught, exclusive(tmp_path / "lock", "training into runs/a"):
        pass
    message = (
        f"training into runs/a: process {process.pid} on host {socket.gethostname()} is doing that already, since 2"
    )
    assert str(caught.value).startswith(message)
    assert str(caught.value).endswith("; wait for it, or stop it")
    assert (tmp_path / "lock").exists()


def test_a_refusal_where_the_holder_is_not_described_yet(holder, tmp_path):
    holder("exclusive", tmp_path / "lock")
    for content in ("", "nonsense", "[]", "[" * 4000, '{"process": 1'):
        (tmp_path / "lock.json").write_text(content)
        with pytest.raises(LbaError, match=r"process \? on host \?"), exclusive(tmp_path / "lock", "training"):
            pass


def test_the_lock_and_its_description_are_gone_afterwards(tmp_path):
    with exclusive(tmp_path / "lock", "training"):
        assert names(tmp_path) == ["lock", "lock.json"]
    assert not names(tmp_path)
    with pytest.raises(ZeroDivisionError), exclusive(tmp_path / "lock", "training"):
        raise ZeroDivisionError
    assert not names(tmp_path)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_the_lock_of_a_dead_process_is_taken_over(holder, tmp_path, end):
    process = holder("exclusive", tmp_path / "lock")
    process.send_signal(end)
    process.wait()
    assert (tmp_path / "lock").exists()
    with exclusive(tmp_path / "lock", "training"):
        assert json.loads((tmp_path / "lock.json").read_text())["process"] == os.getpid()
    assert not names(tmp_path)


@pytest.mark.parametrize("content", ["", "nonsense", "[]", '{"process": "x"}'])
def test_damaged_lock_files_are_taken_over(tmp_path, content):
    (tmp_path / "lock").write_text(content)
    (tmp_path / "lock.json").write_text(content)
    with exclusive(tmp_path / "lock", "training"):
        pass
    assert not names(tmp_path)


def test_a_lock_whose_file_is_removed_while_others_wait_is_held_by_one(tmp_path):
    """Processes that take turns as fast as they can are never in the block together, though the file comes and goes."""
    code = """
import sys, time
from pathlib import Path
from lba_cli.errors import LbaError
from lba_cli.locks import exclusive
folder, turns = Path(sys.argv[1]), 0
print("held", flush=True)
until = time.monotonic() + 30
while turns < 40 and time.monotonic() < until:
    try:
        with exclusive(folder / "lock", "counting"):
            (folder / "inside").touch(exist_ok=False)
            turns += 1
            (folder / "inside").unlink()
    except LbaError:
        pass
sys.exit(turns != 40)
"""
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.DEVNULL) for _ in range(3)
    ]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert not names(tmp_path)


def test_a_forked_process_does_not_keep_a_lock_alive(start, tmp_path):
    """Data loaders' workers outlive a killed parent by seconds; its lock must not."""
    kill(start(FORKING_HOLDER, tmp_path / "lock", "stays"))
    with exclusive(tmp_path / "lock", "training"):
        pass


def test_a_forked_process_does_not_release_a_lock(start, tmp_path):
    process = start(FORKING_HOLDER, tmp_path / "lock", "leaves")
    with pytest.raises(LbaError, match=f"process {process.pid} on host"), exclusive(tmp_path / "lock", "training"):
        pass
    assert names(tmp_path) == ["lock", "lock.json"]


class TestFileSystemsWithoutLocks:
    @pytest.fixture(autouse=True, params=[errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
    def no_flock(self, monkeypatch, request):
        def flock(descriptor, operation):
            raise OSError(request.param, os.strerror(request.param))

        monkeypatch.setattr(fcntl, "flock", flock)

    def test_one_process_at_a_time(self, tmp_path):
        with exclusive(tmp_path / "lock", "training"):
            wanted = pytest.raises(
                LbaError, match=rf"process {os.getpid()} .*remove .*lock\.soft if that process has ended"
            )
            with wanted, exclusive(tmp_path / "lock", "training"):
                pass
        assert not names(tmp_path)

    @pytest.mark.parametrize("host", ["this host", "elsewhere"])
    def test_a_dead_process_is_taken_over_on_the_same_host(self, tmp_path, host):
        gone = subprocess.Popen(["true"])
        gone.wait()
        host = socket.gethostname() if host == "this host" else host
        (tmp_path / "lock.soft").write_text(f"{gone.pid}\n{host}\n")
        if host == "elsewhere":
            with pytest.raises(LbaError, match="is doing that already"), exclusive(tmp_path / "lock", "training"):
                pass
        else:
            with exclusive(tmp_path / "lock", "training"):
                pass
            assert not names(tmp_path)

    def test_files_are_still_written(self, tmp_path):
        write_text(tmp_path / "a.txt", "a")
        with whole_folder(tmp_path / "b") as folder:
            (folder / "x").write_text("x")
        assert names(tmp_path) == ["a.txt", "b"]


@pytest.mark.parametrize("what", ["whole_file", "whole_folder"])
def test_the_next_writer_sweeps_what_a_killed_one_left_and_spares_a_live_one(holder, tmp_path, what):
    path = tmp_path / "out[1].x"
    dead, _live = holder(what, path), holder(what, path)
    kill(dead)
    assert len(names(tmp_path)) == 2
    with whole_file(path) if what == "whole_file" else whole_folder(path) as partial:
        if what == "whole_file":
            partial.write_text("mine")
        assert len(names(tmp_path)) == 2, "the dead writer's is gone; the live one's and this one's are there"
    assert len(list(tmp_path.glob(".out*"))) == 1


@pytest.mark.parametrize("precious", [".st.backup.partial", ".st.mybackup.partial"])
def test_only_what_this_program_left_is_swept(tmp_path, precious):
    (tmp_path / precious).mkdir()
    (tmp_path / precious / "precious.txt").write_text("mine")
    (tmp_path / ".st.mine.partial.bak").write_text("mine")
    with whole_folder(tmp_path / "st"):
        pass
    assert (tmp_path / precious / "precious.txt").exists()
    assert (tmp_path / ".st.mine.partial.bak").exists()


@pytest.mark.parametrize("name", ["lock", "lock.json"])
def test_a_link_in_place_of_a_lock_leads_nowhere(tmp_path, name):
    (tmp_path / "thesis.tex").write_text("mine")
    (tmp_path / name).symlink_to("thesis.tex")
    if name == "lock":
        with pytest.raises(OSError) as caught, exclusive(tmp_path / "lock", "training"):
            pass
        assert caught.value.filename
    else:
        with exclusive(tmp_path / "lock", "training"):
            pass
    assert (tmp_path / "thesis.tex").read_text() == "mine"


def test_where_nothing_can_be_locked_no_files_are_left(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "try_lock", lambda _: None)
    with pytest.raises(OSError, match="can't be locked; try again"):
        write_text(tmp_path / "a.txt", "a")
    assert not names(tmp_path)


def test_a_written_file_has_the_usual_permissions(tmp_path):
    before = os.umask(0o027)
    try:
        with whole_file(tmp_path / "a.txt") as partial:
            partial.touch(0o600)  # as safetensors does
        with whole_folder(tmp_path / "b"):
            pass
    finally:
        os.umask(before)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("a.txt", "b")] == [0o640, 0o750]


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


@pytest.mark.slow
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
    with exclusive(lock, "preparing made"):
        done = subprocess.run(
            [*base, "prepare", "sysu", "--root", str(tiny), "--output", "made"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert f"preparing made: process {os.getpid()} on host" in done.stderr
    assert not (tmp_path / "made").exists()
