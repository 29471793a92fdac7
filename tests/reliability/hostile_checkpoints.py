"""Files that look like checkpoints but are hostile or damaged."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch

from lba_cli.model.checkpoint import VERSION, Checkpoint, Description, write_checkpoint
from lba_cli.model.initial_weights import build_network
from lba_cli.model.pickle_audit import LEGACY_START

TRAP = "code-was-run"


class Runs:
    """Calls a function when it is unpickled."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self._call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self._call


class Builds:
    """Calls a function when its state is set."""

    def __reduce__(self) -> tuple[object, ...]:
        return Builds, (), {"x": Runs(os.system, f"touch {TRAP}")}


def content(**changes: object) -> dict[str, object]:
    """Return the content of a valid checkpoint, with some entries replaced."""
    description = vars(Description("resnet18", 12, 64, 32, "made up"))
    good = {"format": "lba-checkpoint", "version": VERSION, "description": description, "training": {}}
    return {**good, "weights": dict(weights()), **changes}


@cache
def weights() -> dict[str, torch.Tensor]:
    """Return the weights of a small network; callers must not change the dictionary."""
    return build_network("resnet18", 12, "none", seed=3).state_dict()


def with_tensor(name: str, value: object, **description: object) -> dict[str, object]:
    """Return the content of a valid checkpoint with one tensor replaced."""
    changed = content()
    changed["weights"][name] = value  # type: ignore[index]
    changed["description"] |= description  # type: ignore[operator]
    return changed


def archive(pickled: bytes, *, storage: bytes = b"", compress: bool = False, repeat: int = 1) -> bytes:
    """Make a zip archive like PyTorch's from any pickle and one storage."""
    buffer = io.BytesIO()
    kind = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    with zipfile.ZipFile(buffer, "w", kind) as file:
        file.writestr("archive/data.pkl", pickled)
        file.writestr("archive/byteorder", b"little")
        file.writestr("archive/version", b"3\n")
        if storage:
            file.writestr("archive/data/0", storage)
        if compress:
            file.writestr("archive/data/0", bytes(50_000_000 * repeat))
    return buffer.getvalue()


def saved(value: object, **options: object) -> bytes:
    """Return the bytes that ``torch.save`` writes for ``value``."""
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


def legacy(pickled: bytes, keys: bytes = b"\x80\x02].", storages: bytes = b"") -> bytes:
    """Make a file in PyTorch's format of before 1.6 from any pickle, any pickle of storages' names, and storages."""
    facts = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    start = LEGACY_START + pickle.dumps(1001, protocol=2) + pickle.dumps(facts, protocol=2)
    return start + pickled + keys + storages


def legacy_tensor(count: int, view: bytes = b"N") -> bytes:
    """Make a pickle of {"classifier.weight": tensor} on a storage that claims to have ``count`` numbers."""
    storage = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x007X\x03\x00\x00\x00cpu\x8a\x06"
    tensor = (
        storage + count.to_bytes(6, "little") + view + b"tQK\x00K\x01\x85K\x01\x85\x89ccollections\nOrderedDict\n)R"
    )
    return b"\x80\x02}X\x11\x00\x00\x00classifier.weightctorch._utils\n_rebuild_tensor_v2\n(" + tensor + b"tRs."


def safetensors(header: bytes, body: bytes = b"") -> bytes:
    """Make a safetensors file with any header."""
    return struct.pack("<Q", len(header)) + header + body


def files() -> dict[str, bytes]:
    """Return the files by name; each of them must be refused."""
    system = Runs(os.system, f"touch {TRAP}")
    good = saved(content())
    deep = b"\x80\x02" + b"]" * 5_000 + b"a" * 4_999 + b"."
    one = torch.zeros(1)
    nested = "[" * 100_000
    return {
        "bare-pickle.pt": pickle.dumps(system),
        "system-in-archive.pt": archive(pickle.dumps(system, protocol=2)),
        "eval-in-weights.pt": saved(with_tensor("classifier.weight", Runs(eval, f"open('{TRAP}', 'w')"))),
        "code-as-state.pt": archive(pickle.dumps(Builds(), protocol=2)),
        "global-by-hand.pt": archive(b"\x80\x02cbuiltins\nexec\nX\x18\x00\x00\x00open('code-was-run','w')\x85R."),
        "numpy-with-code.pt": archive(
            b"\x80\x02cnumpy.core.multiarray\nscalar\ncposix\nsystem\nX\x12\x00\x00\x00touch code-was-run\x85R\x85R."
        ),
        "torch-hub.pt": archive(b"\x80\x02ctorch.hub\nload\nX\x01\x00\x00\x00xX\x01\x00\x00\x00y\x86R."),
        "old-format.pt": saved(content(), _use_new_zipfile_serialization=False),
        "old-format-with-code.pt": saved({"net": system}, _use_new_zipfile_serialization=False),
        "old-format-with-code-in-its-facts.pt": LEGACY_START + pickle.dumps(system, protocol=2),
        "old-format-that-claims-much.pt": legacy(legacy_tensor(2**40), pickle.dumps(["7"], protocol=2), bytes(4096)),
        "old-format-with-a-view.pt": legacy(legacy_tensor(1, view=b"X\x01\x00\x00\x008K\x00K\x01\x87")),
        "old-format-with-a-module.pt": legacy(b"\x80\x02(X\x06\x00\x00\x00moduleccollections\nOrderedDict\nNNtQ."),
        "old-format-with-a-doubled-key.pt": legacy(doubled_tuples(60)),
        "old-format-cut.pt": saved({"net": {"classifier.weight": one}}, _use_new_zipfile_serialization=False)[:-2],
        "script.pt": scripted(),
        "deflated-bomb.pt": archive(pickle.dumps({}, protocol=2), compress=True, repeat=4),
        "deep-pickle.pt": archive(deep),
        "doubled-tuples-as-key.pt": archive(doubled_tuples(60)),
        "nested-version.pt": archive(pickle.dumps({"format": "lba-checkpoint", "version": doubled(40)}, protocol=2)),
        "two-directories.pt": two_directories(),
        "bytearray.pt": archive(b"\x80\x02c__builtin__\nbytearray\nJ\xff\xff\xff\x7f\x85R."),
        "expanded.pt": saved(with_tensor("classifier.weight", one.expand(2**20, 512), num_classes=2**20)),
        "expanded-weights-only.pt": saved({"net": {"classifier.weight": one.expand(10**9, 2048)}}),
        "expanded-and-foreign.pt": saved(
            {
                "net": {
                    "base_resnet.base.layer1.0.conv1.weight": one,
                    "classifier.weight": one.half().expand(2**20, 2048),
                }
            }
        ),
        "sparse.pt": saved(
            with_tensor(
                "classifier.weight", torch.sparse_coo_tensor(torch.zeros(2, 1, dtype=torch.long), one, (12, 512))
            )
        ),
        "meta.pt": saved(with_tensor("classifier.weight", torch.empty(12, 512, device="meta"))),
        "wrong-shape.pt": saved(with_tensor("classifier.weight", torch.zeros(12, 511))),
        "wrong-type.pt": saved(with_tensor("classifier.weight", torch.zeros(12, 512, dtype=torch.float64))),
        "nan.pt": saved(with_tensor("classifier.weight", torch.full((12, 512), torch.nan))),
        "not-a-tensor.pt": saved(with_tensor("classifier.weight", [0.0])),
        "unknown-tensor.pt": saved(with_tensor("\x1b[2J\nerror: fine\n", one)),
        "numbers-as-names.pt": saved({"net": {1: one, "classifier.weight": torch.zeros(3, 2048)}}),
        "no-description.pt": saved(content(description=None)),
        "huge-image.pt": saved(content(description={**vars(Description("resnet18", 12, 10**6, 10**6))})),
        "list.pt": saved([1, 2, 3]),
        "text.pt": b"hello\n",
        "empty.pt": b"",
        **{f"cut-at-{share}.pt": good[: int(len(good) * share)] for share in (0.001, 0.1, 0.5, 0.9, 0.999)},
        "last-byte-gone.pt": good[:-1],
        "zeros.pt": bytes(1_000_000),
        "huge-header.safetensors": struct.pack("<Q", 2**62) + b"{}",
        "lying.safetensors": safetensors(
            json.dumps({"w": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}).encode()
        ),
        "deep.safetensors": safetensors(json.dumps({"__metadata__": {"lba": nested}}).encode()),
        "no-metadata.safetensors": safetensors(b"{}"),
        "not-json.safetensors": safetensors(b"\xff\xff"),
    }


def doubled(times: int) -> list[object]:
    """Make a list that contains a list twice, which contains a list twice, and so on: small until it is walked."""
    inner: list[object] = []
    for _ in range(times):
        inner = [inner, inner]
    return inner


def doubled_tuples(times: int) -> bytes:
    """Make a pickle of a dictionary whose key nests tuples in the same way; hashing it takes forever."""
    program = b"\x80\x02}K\x01q\x00"
    for number in range(times):
        place = bytes([number])
        program += b"0h" + place + b"h" + place + b"\x86q" + bytes([number + 1])
    return program + b"K\x01s."


def two_directories() -> bytes:
    """Make an archive with two directories, so that two readers can see different contents."""
    packed = archive(pickle.dumps({}, protocol=2), compress=True)
    return packed + archive(pickle.dumps({}, protocol=2))


def scripted() -> bytes:
    """Make a TorchScript archive; loading it would compile code."""
    import warnings

    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)), buffer)
    return buffer.getvalue()


def write(folder: Path) -> list[Path]:
    """Write the files, a directory, a FIFO, a looping link and a huge sparse file; return their paths and a device's."""
    paths = []
    for name, data in files().items():
        (folder / name).write_bytes(data)
        paths.append(folder / name)
    (folder / "folder.pt").mkdir()
    os.mkfifo(folder / "fifo.pt")
    (folder / "loop.pt").symlink_to("loop.pt")
    with (folder / "hole.pt").open("wb") as file:
        file.truncate(2**42)
    return [*paths, *(folder / name for name in ("folder.pt", "fifo.pt", "loop.pt", "hole.pt")), Path("/dev/zero")]


def write_good(path: Path) -> None:
    """Write a valid checkpoint."""
    network = build_network("resnet18", 12, "none", seed=3)
    write_checkpoint(path, Checkpoint(Description("resnet18", 12, 64, 32, "made up"), network.state_dict()))
