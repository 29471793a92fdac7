"""Hypothesis strategies for hostile checkpoints: pickles that are programs, and headers that lie."""

from __future__ import annotations

import json
import pickle

from hypothesis import strategies as st
from reliability.malformed_files import EDITS, LEAVES, VALUES, edited

from lba_cli.model.checkpoint import VERSION

# Pickles as programs: any operations, allowed and forbidden names, and pieces of valid checkpoints.
_NAMES = (
    *(
        "collections OrderedDict",
        "torch._utils _rebuild_tensor_v2",
        "torch._utils _rebuild_parameter",
        "torch FloatStorage",
    ),
    *(
        "torch LongStorage",
        "torch BoolStorage",
        "_codecs encode",
        "numpy.core.multiarray scalar",
        "numpy dtype",
        "numpy ndarray",
    ),
    *(
        "numpy._core.multiarray _reconstruct",
        "builtins bytearray",
        "torch Tensor",
        "os system",
        "builtins set",
        "torch.hub load",
    ),
)
_OPERATIONS = [bytes([code]) for code in b"(.012NQRabdlostue}])\x81\x85\x86\x87\x88\x89\x8f\x90\x91\x92\x93\x94"]
_STRING = st.one_of(
    st.sampled_from(
        [
            "net",
            "format",
            "lba-checkpoint",
            "version",
            "weights",
            "training",
            "description",
            "classifier.weight",
            "storage",
        ]
    ),
    st.text(max_size=8),
).map(lambda text: b"X" + len(text.encode("utf-8", "replace")).to_bytes(4, "little") + text.encode("utf-8", "replace"))
_STORAGE = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK"


def _tensor(claimed: int, offset: int, size: int, stride: int) -> bytes:
    """Return the operations that build a tensor on the archive's only storage."""
    start, extent, step = (b"J" + number.to_bytes(4, "little", signed=True) for number in (offset, size, stride))
    storage = _STORAGE + bytes([claimed]) + b"tQ"
    hooks = b"\x89ccollections\nOrderedDict\n)R"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + start + extent + b"\x85" + step + b"\x85" + hooks + b"tR"


_COUNT = st.one_of(st.integers(-2, 20), st.sampled_from([2**31 - 1, -(2**31)]))
_PIECES = st.one_of(
    st.sampled_from(_OPERATIONS),
    _STRING,
    st.sampled_from(_NAMES).map(lambda name: f"c{name.replace(' ', chr(10))}\n".encode()),
    st.integers(0, 255).map(lambda number: b"K" + bytes([number])),
    st.binary(min_size=0, max_size=200).map(lambda number: b"\x8a" + bytes([len(number)]) + number),
    st.sampled_from([b"q", b"h"]).flatmap(lambda code: st.integers(0, 6).map(lambda at: code + bytes([at]))),
    st.floats(width=32).map(lambda number: b"G" + pickle.dumps(number, 2)[3:11]),
    st.builds(_tensor, st.integers(0, 40), _COUNT, _COUNT, _COUNT),
)
_CONTENT = st.dictionaries(
    st.sampled_from(["format", "version", "weights", "training", "description", "net", "epoch"]),
    st.one_of(
        st.sampled_from(
            ["lba-checkpoint", VERSION, {}, {"backbone": "resnet18", "num_classes": 3, "height": 64, "width": 32}]
        ),
        VALUES,
        st.dictionaries(st.one_of(st.text(max_size=5), st.integers(), st.just(10**1000)), LEAVES, max_size=3),
    ),
    max_size=7,
)
PICKLES = st.one_of(
    st.lists(_PIECES, max_size=20).map(lambda pieces: b"\x80\x02" + b"".join(pieces) + b"."),
    st.lists(st.tuples(_STRING, _PIECES), max_size=8).map(
        lambda pairs: b"\x80\x02}(" + b"".join(key + value for key, value in pairs) + b"u."
    ),
    _CONTENT.map(lambda content: pickle.dumps(content, protocol=2)),
    st.tuples(_CONTENT, EDITS).map(lambda both: edited(pickle.dumps(both[0], protocol=2), both[1])),
)
HEADERS = st.one_of(
    st.dictionaries(
        st.one_of(st.just("__metadata__"), st.text(max_size=5)),
        st.one_of(
            VALUES,
            st.fixed_dictionaries(
                {
                    "dtype": st.sampled_from(["F32", "F16", "BF16", "I64", "BOOL", "F8_E4M3", "F4", "C64", "U64", "X"]),
                    "shape": st.lists(st.sampled_from([0, 1, 2, 4, -1, 2**32, 2**63]), max_size=3),
                    "data_offsets": st.lists(st.sampled_from([0, 4, 8, 16, 2**40, -1]), min_size=2, max_size=2),
                }
            ),
            st.fixed_dictionaries({"lba": st.one_of(st.text(max_size=20), VALUES.map(str), _CONTENT.map(repr))}),
        ),
        max_size=4,
    ).map(lambda header: json.dumps(header, default=str).encode()),
    EDITS.map(lambda edits: edited(b'{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', edits)),
)
