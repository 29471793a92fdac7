"""Jobs of several processes as torchrun starts them, forked from a process that has loaded the libraries, which is quick.

Run as a program, this file is that process. It reads orders, one JSON value per line, and answers each: an order to start
processes with their ids, and an order to wait for them with their exit statuses.
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


class SimulatedJob:
    """A job of ``size`` processes with a log each, and the store that torchrun's agent would keep for them."""

    def __init__(self, folder, size, attempt=0, store=None):
        from torch.distributed import TCPStore

        self.folder, self.size, self.attempt = Path(folder), size, attempt
        self.store = store or TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        self.processes = []

    def begin(self, *words, work=None):
        """Start ``lba words…`` in every process, or ``work(*words)`` for a ``work`` such as "module:function"."""
        order = {"folder": str(self.folder), "logs": [str(self._log(rank)) for rank in range(self.size)], "work": work}
        order |= {"port": self.store.port, "attempt": self.attempt, "words": [str(word) for word in words]}
        self.processes = ask(order)
        return self

    def statuses(self):
        """Wait for all processes; return their exit statuses, which are negative for signals."""
        return ask(self.processes)

    def finish(self, *words, work=None):
        """Run all processes to the end, which must be a success; return their logs."""
        statuses = self.begin(*words, work=work).statuses()
        assert statuses == [0] * self.size, "".join(self.logs())
        return self.logs()

    def _log(self, rank):
        return self.folder / f"log-{self.attempt}-{rank}.txt"

    def logs(self):
        """Return the processes' logs."""
        return [self._log(rank).read_text() for rank in range(self.size)]


@functools.cache
def parent():
    """Start the process that forks the others; it ends when its input does."""
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
    """Return the environment that torchrun sets."""
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
    """Carry out orders: a dictionary says what to start, a list which processes to wait for."""
    importlib.import_module("simulated_torchrun_work")
    for line in sys.stdin:
        order = json.loads(line)
        print(json.dumps(begin(order) if isinstance(order, dict) else ended(order)), flush=True)


def begin(order):
    """Start the processes of an order; return their ids."""
    from reliability.processes import start

    begun = []
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

        begun.append(start(Path(order["folder"]), *order["words"], log=Path(log), before=before))
    return begun


def ended(begun):
    """Wait for processes, and kill those that take too long; return the exit statuses."""
    until, statuses = time.monotonic() + PATIENCE, {}
    while len(statuses) < len(begun):
        for process in set(begun) - set(statuses):
            if time.monotonic() > until:
                os.kill(process, signal.SIGKILL)
            number, status = os.waitpid(process, os.WNOHANG)
            if number:
                statuses[process] = os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    return [statuses[process] for process in begun]


if __name__ == "__main__":
    serve()
