"""The processes of one job, as ``torchrun`` starts them: which one this is, and what they do together.

Rendezvous, restarts and the end of all when one fails are torchrun's; what goes between the processes goes through PyTorch's
process group: gloo for what is in memory, NCCL for what is on CUDA devices. Alone, nothing here costs or changes anything.
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
from lba_cli.signals import ignore_endings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

Value = TypeVar("Value")
PATIENCE = timedelta(minutes=30)  # with a process that is alive but doesn't come to what all do together
MOMENT = timedelta(seconds=3)
# How gloo's and NCCL's errors can be told from others, beside their types.
OF_THE_GROUP = ("gloo", "NCCL", "Connection closed by peer", "Connection reset by peer", "Broken pipe")
RUN, PORT = "lba/run", "lba/port"  # what is kept in the store of torchrun's agent


@dataclass(frozen=True)
class World:
    """The processes of a job.

    Attributes:
        rank: of this one, from 0.
        size: how many there are, on all machines.
        local_rank, local_size: the same on this machine.
        launched: whether torchrun started this one.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    launched: bool = False

    @property
    def is_writer(self) -> bool:
        """Whether this process writes files and talks to the user, for all of them."""
        return self.rank == 0


ALONE = World()
_joined = ALONE
_meeting = ""  # tells what happens after a restart from what has happened before


def launched() -> World:
    """What torchrun's environment says, whether this process has joined the others or not."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return ALONE
    return World(
        rank=int(os.environ["RANK"]),
        size=int(os.environ["WORLD_SIZE"]),
        local_rank=int(os.environ["LOCAL_RANK"]),
        local_size=int(os.environ["LOCAL_WORLD_SIZE"]),
        launched=True,
    )


def here() -> World:
    """The processes that this one has joined; it alone outside of :func:`joined`."""
    return _joined


@contextmanager
def joined() -> Iterator[None]:
    """Be one of torchrun's processes within the block, which all of them leave together unless one fails.

    Raises:
        LostProcess: another one failed, or was killed.
    """
    # Once for all processes is enough to be told something, and what PyTorch's C++ has to tell, every process would tell.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    import torch
    from torch import distributed

    global _joined, _meeting
    world = launched()
    on_gpus = torch.cuda.is_available() and distributed.is_nccl_available()
    try:
        store = _meet(world)
        place = {"store": store, "rank": world.rank, "world_size": world.size} if store else {}
        distributed.init_process_group("cpu:gloo,cuda:nccl" if on_gpus else "gloo", timeout=PATIENCE, **place)
    except RuntimeError as problem:
        raise LbaError(f"the processes of this job can't reach each other: {problem}") from problem
    _joined, _meeting = world, str(store.port) if store else ""
    try:
        try:
            yield
        except Interrupted:
            _leave()
            raise
        _leave()
    except RuntimeError as problem:
        if isinstance(problem, distributed.DistError) or any(sign in str(problem) for sign in OF_THE_GROUP):
            raise LostProcess from problem
        raise
    finally:
        _joined = ALONE


def _meet(world: World) -> Any:
    """A store for the processes of this attempt alone, which the first one has; None where torchrun sees to that.

    The store of torchrun's agent outlives restarts, and what the last attempt's processes have left in it misleads those of
    this one (seen with PyTorch 2.15). All of those have ended before one of these starts, so a port they left leads nowhere.

    Raises:
        RuntimeError: it can't be reached.
    """
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    agents, address = _agents_store(), os.environ["MASTER_ADDR"]
    if agents is None:
        return None
    if world.rank == 0:
        store = TCPStore(address, 0, is_master=True, timeout=PATIENCE, wait_for_workers=False)
        agents.set(PORT, str(store.port))
        return store
    until = time.monotonic() + PATIENCE.total_seconds()
    while True:
        try:
            store = TCPStore(address, int(agents.get(PORT)), timeout=MOMENT, wait_for_workers=False)
        except RuntimeError:
            if time.monotonic() > until:
                raise
        else:
            store.set_timeout(PATIENCE)
            return store


def _leave() -> None:
    """Split from the others when all are done; torchrun, which ends all as soon as one has failed, is too late from here on."""
    from torch import distributed

    ignore_endings()
    largest(0)
    distributed.destroy_process_group()


def largest(*values: int) -> tuple[int, ...]:
    """Of each number the largest that any process has; all of them must ask at the same moment."""
    if _joined.size == 1:
        return values
    import torch
    from torch import distributed

    numbers = torch.tensor(values)
    distributed.all_reduce(numbers, distributed.ReduceOp.MAX)
    return tuple(int(number) for number in numbers)


def from_writer(make: Callable[[], Value]) -> Value:
    """What ``make`` returns on the writer, which alone calls it, on every process."""
    if _joined.size == 1:
        return make()
    import torch
    from torch import distributed

    box: list[Any] = [make() if _joined.is_writer else None]
    distributed.broadcast_object_list(box, src=0, device=torch.device("cpu"))
    value: Value = box[0]
    return value


def take_writers(tensors: Iterable[Tensor]) -> None:
    """Give the tensors of every process the values they have on the writer."""
    if _joined.size > 1:
        from torch import distributed

        for tensor in tensors:
            distributed.broadcast(tensor, src=0)


def of_each(tensor: Tensor) -> list[Tensor]:
    """Every process's ``tensor``, on the CPU, in the order of their ranks."""
    mine = tensor.cpu()
    if _joined.size == 1:
        return [mine]
    import torch
    from torch import distributed

    each = [torch.empty_like(mine) for _ in range(_joined.size)]
    distributed.all_gather(each, mine)
    return each


def fill_in(array: NDArray[np.float32], rows_of: Sequence[NDArray[np.int64]]) -> None:
    """Complete an array of which every process has made some rows, those at ``rows_of[rank]``, on all of them."""
    if _joined.size == 1:
        return
    import torch
    from torch import distributed

    for rank, rows in enumerate(rows_of):
        if len(rows):
            part = torch.from_numpy(array[rows])
            distributed.broadcast(part, src=rank)
            array[rows] = part.numpy()


def remember_run(path: str) -> None:
    """Note which run this job trains; a restart by torchrun doesn't forget it."""
    if store := _joined.launched and _agents_store():
        store.set(RUN, path)


def remembered_run() -> str:
    """The run that this job trained before torchrun started it again; empty where it is new."""
    store = _agents_store() if _joined.launched else None
    return store.get(RUN).decode() if store and store.check([RUN]) else ""


def is_to_tell(problem: BaseException | None = None) -> bool:
    """Whether this process is the one that tells the user how the job ended: what ended all of them is told once.

    All are interrupted together, and the writer says so; of other problems the first one counts.
    """
    world = launched()
    if world.size == 1 or isinstance(problem, Interrupted):
        return world.is_writer
    told, lost = f"lba/told/{_meeting}", isinstance(problem, LostProcess)
    try:
        store = _agents_store()
        if store is None or (lost and _appears(store, told)):
            return not lost
        return bool(store.add(told, 1) == 1)
    except RuntimeError:  # the store's machine is gone
        return not lost


def _appears(store: Any, key: str) -> bool:
    """Whether another process is about to say what became of it."""
    try:
        store.wait([key], MOMENT)
    except RuntimeError:
        return False
    return True


def _agents_store() -> Any:
    """The store that torchrun's agent keeps through restarts; None where it has none."""
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return None
    from torch import distributed

    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    return distributed.TCPStore(address, port, timeout=MOMENT, wait_for_workers=False)  # type: ignore[attr-defined]
