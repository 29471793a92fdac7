"""Processes in the environment that torchrun would give them, forked from one that has the libraries loaded: they start fast.

Run as a program, this file is the process that forks the others. It reads orders, one JSON value per line: a dictionary starts
processes and is answered with their numbers; a list of numbers waits for those processes and is answered with exit statuses.
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

PATIENCE = 60.0
HERE = Path(__file__).parent


class SimulatedTorchrun:
    """Runs ``size`` processes, each with a log, and keeps the store that torchrun's agent would keep for them."""

    def __init__(self, folder, size, attempt=0, store=None):
        from torch.distributed import TCPStore

        self.folder, self.size, self.attempt = Path(folder), size, attempt
        self.store = store or TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        self.processes = []

    def begin(self, *words, work=None):
        """Start ``lba words…``, or ``work(*words)`` ("module:function"), in every process."""
        order = {"folder": str(self.folder), "logs": [str(self._log(rank)) for rank in range(self.size)], "work": work}
        order |= {"port": self.store.port, "attempt": self.attempt, "words": [str(word) for word in words]}
        self.processes = ask(order)
        return self

    def statuses(self):
        """Wait for all processes; return the exit status of each, negative for a signal."""
        return ask(self.processes)

    def finish(self, *words, work=None):
        """Run to the end and require success; return each process's output."""
        statuses = self.begin(*words, work=work).statuses()
        assert statuses == [0] * self.size, "".join(self.logs())
        return self.logs()

    def _log(self, rank):
        return self.folder / f"log-{self.attempt}-{rank}.txt"

    def logs(self):
        """Return the output of each process."""
        return [self._log(rank).read_text() for rank in range(self.size)]


@functools.cache
def parent():
    """Start the process that forks the others; it ends when its input is closed."""
    environment = {**os.environ, "TORCH_CPP_LOG_LEVEL": "ERROR", "OMP_NUM_THREADS": "1", "COLUMNS": "160"}
    environment["PYTHONPATH"] = os.pathsep.join([str(HERE.parent), str(HERE)])
    return subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )


def ask(order):
    """Send an order; return the answer."""
    print(json.dumps(order), file=parent().stdin, flush=True)
    return json.loads(parent().stdout.readline())


def environment_of(rank, order):
    """Return the environment that torchrun would set for a process."""
    size = str(len(order["logs"]))
    return {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": size,
        "LOCAL_WORLD_SIZE": size,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(order["port"]),
        "TORCHELASTIC_RUN_ID": "test",
        "TORCHELASTIC_RESTART_COUNT": str(order["attempt"]),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
    }


def serve():
    """Carry out orders until the input ends."""
    importlib.import_module("simulated_torchrun_work")
    for line in sys.stdin:
        order = json.loads(line)
        print(json.dumps(begin(order) if isinstance(order, dict) else wait_for(order)), flush=True)


def begin(order):
    """Start the processes of an order; return their numbers."""
    from reliability.processes import start

    started = []
    for rank, log in enumerate(order["logs"]):
        Path(log).unlink(missing_ok=True)

        def before(rank=rank):
            os.environ.update(environment_of(rank, order))
            if order["work"]:
                module, name = order["work"].split(":")
                try:
                    getattr(importlib.import_module(module), name)(*order["words"])
                except Exception:
                    traceback.print_exc()
                    raise SystemExit(1) from None
                raise SystemExit(0)

        started.append(start(Path(order["folder"]), *order["words"], log=Path(log), before=before))
    return started


def wait_for(numbers):
    """Wait for processes; return their exit statuses. A process that takes too long is killed."""
    until, statuses = time.monotonic() + PATIENCE, {}
    while len(statuses) < len(numbers):
        for process in set(numbers) - set(statuses):
            if time.monotonic() > until:
                os.kill(process, signal.SIGKILL)
            number, status = os.waitpid(process, os.WNOHANG)
            if number:
                statuses[process] = os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    return [statuses[process] for process in numbers]


if __name__ == "__main__":
    serve()
