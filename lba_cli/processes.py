"""The processes of one job, as ``torchrun`` starts them: this process's rank, and operations of all processes together.

torchrun does the rendezvous, restarts the processes, and ends all of them when one fails. The processes communicate through
PyTorch's process group: with gloo for tensors on the CPU, and with NCCL for tensors on CUDA devices. In a single process,
the functions below cost nothing and change nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from lba_cli.errors import Interrupted, LbaError, LostProcess
from lba_cli.signals import ignore_stop_signals

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

Value = TypeVar("Value")
TIMEOUT = timedelta(minutes=30)  # for a process that is alive but doesn't join a collective operation
SHORT_TIMEOUT = timedelta(seconds=3)
POLL_SECONDS = 0.1
# Parts of the messages of gloo's and NCCL's errors, some of which are plain RuntimeErrors.
GROUP_ERRORS = ("gloo", "NCCL", "Connection closed by peer", "Connection reset by peer", "Broken pipe")
RUN_KEY, PORT_KEY = "lba/run", "lba/port"  # in the store of torchrun's agent


@dataclass(frozen=True)
class World:
    """The number of processes of a job, and this process's rank among them."""

    rank: int = 0  # this process's number
    size: int = 1  # the number of processes on all machines
    local_rank: int = 0  # this process's number on its machine
    local_size: int = 1  # the number of processes on that machine
    by_torchrun: bool = False  # whether torchrun started this process

    @property
    def is_writer(self) -> bool:
        """Whether this process writes files and talks to the user on behalf of all processes."""
        return self.rank == 0


SINGLE = World()
_current = SINGLE
_attempt = ""  # differs after a restart by torchrun
_waits = 0  # how often this process has waited for all


def torchrun_world() -> World:
    """Return the world that torchrun's environment variables describe, even outside of :func:`process_group`."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return SINGLE
    return World(
        rank=int(os.environ["RANK"]),
        size=int(os.environ["WORLD_SIZE"]),
        local_rank=int(os.environ["LOCAL_RANK"]),
        local_size=int(os.environ["LOCAL_WORLD_SIZE"]),
        by_torchrun=True,
    )


def current() -> World:
    """Return the number of processes and this process's rank; outside of :func:`process_group`, there is one process."""
    return _current


@contextmanager
def process_group() -> Iterator[None]:
    """Connect torchrun's processes within the block. All of them leave the block together unless one fails.

    Raises:
        LbaError: the processes can't reach each other.
        LostProcess: another process failed or was killed.
    """
    # Otherwise PyTorch's C++ code prints its warnings once for every process.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    import torch
    from torch import distributed

    global _current, _attempt
    world = torchrun_world()
    on_gpus = torch.cuda.is_available() and distributed.is_nccl_available()
    try:
        store = _open_store(world)
        place = {"store": store, "rank": world.rank, "world_size": world.size} if store else {}
        distributed.init_process_group("cpu:gloo,cuda:nccl" if on_gpus else "gloo", timeout=TIMEOUT, **place)
    except RuntimeError as problem:
        raise LbaError(f"the processes of this job can't reach each other: {problem}") from problem
    _current, _attempt = world, str(store.port) if store else ""
    try:
        try:
            yield
        except Interrupted:
            _leave()
            raise
        _leave()
    except RuntimeError as problem:
        lost = isinstance(problem, distributed.DistError) or any(sign in str(problem) for sign in GROUP_ERRORS)
        if not lost or world.size == 1:
            raise
        raise LostProcess(_cause(str(problem))) from problem
    finally:
        _current = SINGLE


def _cause(message: str) -> str:
    """Return the cause of a lost connection. NCCL's last line names one, unless it is a heading; gloo only says that the peer is gone."""
    lines = [line.strip() for line in message.splitlines() if line.strip(" \n:") not in ("", "Last error")]
    return lines[-1][:200] if "NCCL" in message else ""


def _open_store(world: World) -> Any:
    """Open a key-value store for this attempt's processes, which rank 0 serves; None if torchrun's agent keeps no store.

    The store of torchrun's agent only passes on the port of this store. It survives restarts, so that its entries from one
    attempt would mislead the next one (seen with PyTorch 2.15). All processes of an attempt end before the next one starts, so
    nothing answers at an old port. Raises RuntimeError if the store of rank 0 can't be reached.
    """
    agent, address = _agent_store(), os.environ["MASTER_ADDR"]
    if agent is None:
        return None
    if world.rank == 0:
        store = _connect(address, 0, TIMEOUT, is_master=True)
        agent.set(PORT_KEY, str(store.port))
        return store
    deadline = time.monotonic() + TIMEOUT.total_seconds()
    while True:
        try:
            store = _connect(address, int(agent.get(PORT_KEY)), SHORT_TIMEOUT)
        except RuntimeError:
            if time.monotonic() > deadline:
                raise
        else:
            store.set_timeout(TIMEOUT)
            return store


def _leave() -> None:
    """Wait for the other processes and disconnect. Stop signals, which torchrun sends after a failure, are ignored from now on."""
    from torch import distributed

    ignore_stop_signals()
    all_reduce_max(0)
    distributed.destroy_process_group()


def all_reduce_max(*values: int) -> tuple[int, ...]:
    """Return the maximum of each value over all processes. All processes must call this at the same point."""
    if _current.size == 1:
        return values
    import torch

    numbers = torch.tensor(values)
    torch.distributed.all_reduce(numbers, torch.distributed.ReduceOp.MAX)
    return tuple(int(number) for number in numbers)


def run_on_writer(function: Callable[[], Value]) -> Value:
    """Call ``function`` on the writer alone, and return its result, which must be picklable, on every process."""
    if _current.size == 1:
        return function()
    import torch

    box: list[Any] = [function() if _current.is_writer else None]
    torch.distributed.broadcast_object_list(box, src=0, device=torch.device("cpu"))
    value: Value = box[0]
    return value


def wait_for_all() -> None:
    """Wait until every process has called this, however long that takes; torchrun ends the job if one of them dies.

    Collective operations would give up after ``TIMEOUT``, and wouldn't let a signal stop this process.
    """
    global _waits
    if _current.size == 1:
        return
    from torch.distributed.distributed_c10d import _get_default_store

    _waits += 1
    store, key = _get_default_store(), f"lba/wait/{_waits}"
    store.add(key, 1)
    while store.add(key, 0) < _current.size:
        time.sleep(POLL_SECONDS)


def broadcast_from_writer(tensors: Iterable[Tensor]) -> None:
    """Copy the writer's values into the tensors of every process."""
    if _current.size > 1:
        from torch import distributed

        for tensor in tensors:
            distributed.broadcast(tensor, src=0)


def all_gather(tensor: Tensor) -> list[Tensor]:
    """Return the tensors of all processes, on the CPU, ordered by rank. All must have the same shape and dtype."""
    own = tensor.cpu()
    if _current.size == 1:
        return [own]
    import torch

    gathered = [torch.empty_like(own) for _ in range(_current.size)]
    torch.distributed.all_gather(gathered, own)
    return gathered


def share_rows(array: NDArray[np.float32], rows_of: Sequence[NDArray[np.int64]]) -> None:
    """Copy the rows of an array that each process has computed to all other processes.

    ``array``, (n, D) float32, is changed in place. ``rows_of[rank]`` holds the indices of the rows that ``rank`` computed.
    """
    if _current.size == 1:
        return
    import torch

    for rank, rows in enumerate(rows_of):
        if len(rows):
            block = torch.from_numpy(array[rows])
            torch.distributed.broadcast(block, src=rank)
            array[rows] = block.numpy()


def remember_run(path: str) -> None:
    """Record the path of the run that this job trains, for :func:`remembered_run` after a restart by torchrun."""
    if store := _current.by_torchrun and _agent_store():
        store.set(RUN_KEY, path)


def remembered_run() -> str:
    """Return the path of the run that this job trained before torchrun restarted it; empty for a new job."""
    store = _agent_store() if _current.by_torchrun else None
    return store.get(RUN_KEY).decode() if store and store.check([RUN_KEY]) else ""


def should_report(problem: BaseException | None = None) -> bool:
    """Return whether this process reports to the user how the job ended, so that it is reported once.

    The writer reports an interruption, which all processes receive. Any other problem is reported by the first process that
    has one; a :class:`LostProcess` is reported only if no other process reports its cause.
    """
    world = torchrun_world()
    if world.size == 1 or isinstance(problem, Interrupted):
        return world.is_writer
    key, lost = f"lba/reported/{_attempt}", isinstance(problem, LostProcess)
    try:
        store = _agent_store()
        if store is None or (lost and _appears(store, key)):
            return not lost
        return bool(store.add(key, 1) == 1)
    except RuntimeError:  # the store's machine is gone
        return not lost


def _appears(store: Any, key: str) -> bool:
    """Return whether another process adds ``key`` to the store within a short time, because it reports why it failed."""
    try:
        store.wait([key], SHORT_TIMEOUT)
        return True
    except RuntimeError:
        return False


def _agent_store() -> Any:
    """Connect to the store that torchrun's agent keeps through restarts; return None if there is no such store."""
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return None
    return _connect(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), SHORT_TIMEOUT)


def _connect(address: str, port: int, timeout: timedelta, *, is_master: bool = False) -> Any:
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    return TCPStore(address, port, is_master=is_master, timeout=timeout, wait_for_workers=False)
