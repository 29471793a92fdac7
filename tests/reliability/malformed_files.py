"""Hypothesis strategies for damaged files: edited bytes, configs, lists, and lines of JSON."""

from __future__ import annotations

from pathlib import Path

import yaml
from hypothesis import strategies as st

from lba_cli.config import Config

RECIPE = Path(__file__).parents[2] / "configs" / "sysu.yaml"

# Edits of bytes: (kind, place, bytes). Places count from both ends, and most are near an end, where headers are.
_PLACES = st.one_of(st.integers(-64, 64), st.integers(-1024, 1024), st.integers(-(2**31), 2**31))
_WORDS = (0, 1, 2, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 60_000, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
EDITS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["replace", "insert"]), _PLACES, st.binary(min_size=1, max_size=8)),
        st.tuples(
            st.just("word"),
            _PLACES,
            st.builds(
                lambda number, order: number.to_bytes(4, order),
                st.one_of(st.sampled_from(_WORDS), st.integers(0, 2**32 - 1)),
                st.sampled_from(["big", "little"]),
            ),
        ),
        st.tuples(st.sampled_from(["delete", "cut", "repeat"]), _PLACES, st.binary(min_size=1, max_size=64)),
    ),
    min_size=1,
    max_size=5,
)


def edited(data: bytes, edits: list[tuple[str, int, bytes]]) -> bytes:
    """Apply the edits to ``data``."""
    for what, place, content in edits:
        at = place % (len(data) + 1)
        at -= at % 4 if what == "word" else 0
        after = {"replace": at + len(content), "word": at + 4, "delete": at + len(content)}.get(what, at)
        inserted = {"delete": b"", "cut": b"", "repeat": data[at : at + 16] * len(content)}.get(what, content)
        data = data[:at] + inserted + (b"" if what == "cut" else data[after:])
    return data


# Config values.
TOKENS = (
    *(
        "",
        "~",
        "null",
        "true",
        "yes",
        "0",
        "-1",
        "5",
        "010",
        "09",
        "0x1f",
        "1_000",
        "1:30",
        "5e-4",
        "1e5",
        ".5",
        "1.",
        "1e999",
    ),
    *(
        ".inf",
        ".nan",
        "-.inf",
        "9" * 30,
        "9" * 5000,
        "2001-01-01",
        "=",
        "<<",
        "!!int 5",
        "!!python/name:os.system x",
        "&a 1",
    ),
    *(
        "*a",
        "[1, 2]",
        "[50, 20]",
        "[]",
        "{}",
        "{a: 1}",
        "[[[[[[[[[[1]]]]]]]]]]",
        "'a\\b'",
        '"\\ud800"',
        '"\\0"',
        "|",
        ">-",
        "? x",
        "%x",
    ),
    *(
        "cpu",
        "cuda:٣",
        "resnet18",
        "full",
        "all",
        "both",
        "float32",
        "a: b",
        "- 1",
        "\t",
        "#",
        "@",
        "`",
        "\u2028",
        "\x85",
        "\ufeff",
    ),
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(0, 64),
    st.floats(),
    st.floats(0, 1),
    st.text(max_size=12),
    st.sampled_from(TOKENS),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
    max_leaves=12,
)
_KEYS = [(section, key) for section, values in Config().values().items() for key in values]
_SECTION = st.one_of(st.sampled_from(sorted(Config.model_fields)), st.text(max_size=8))


def _nested(settings: list[tuple[tuple[str, str], object]]) -> dict[str, dict[str, object]]:
    values: dict[str, dict[str, object]] = {}
    for (section, key), value in settings:
        values.setdefault(section, {})[key] = value
    return values


NESTED = st.one_of(
    st.lists(st.tuples(st.sampled_from(_KEYS), VALUES), max_size=4).map(_nested),
    st.dictionaries(_SECTION, st.one_of(VALUES, st.dictionaries(_SECTION, VALUES, max_size=3)), max_size=3),
    VALUES,
)


def _with_token(number: int, token: str, keep_key: bool) -> str:
    """Replace one line of the recipe, or the value on it."""
    lines = RECIPE.read_text().splitlines()
    at = number % len(lines)
    lines[at] = f"{lines[at].split(':')[0]}: {token}" if keep_key else token
    return "\n".join(lines)


CONFIGS = st.one_of(
    NESTED.map(lambda values: yaml.safe_dump(values, allow_unicode=True)).map(
        lambda text: text.encode("utf-8", "replace")
    ),
    st.builds(
        _with_token, st.integers(0, 200), st.one_of(st.sampled_from(TOKENS), st.text(max_size=20)), st.booleans()
    ).map(lambda text: text.encode("utf-8", "replace")),
    EDITS.map(lambda edits: edited(RECIPE.read_bytes(), edits)),
    st.text(alphabet="[]{}:,-?&*!|>'\"%@` \n#ab1.", max_size=60).map(str.encode),
    st.binary(max_size=60),
)
ASSIGNMENTS = st.lists(
    st.one_of(
        st.builds(
            lambda key, value: f"{key[0]}.{key[1]}={value}",
            st.sampled_from(_KEYS),
            st.one_of(st.sampled_from(TOKENS), st.text(max_size=20), LEAVES.map(str)),
        ),
        st.text(max_size=20),
        st.builds("{}.{}={}".format, _SECTION, _SECTION, st.sampled_from(TOKENS)),
    ),
    max_size=3,
)
ID_LISTS = st.one_of(
    st.lists(
        st.one_of(
            st.integers(-3, 12_000).map(str),
            st.sampled_from(["", "٣", "１", "9" * 5000, "1e3", "0x1", "+5", "1_0", "²"]),
            st.text(max_size=6),
        ),
        max_size=12,
    )
    .flatmap(
        lambda words: st.sampled_from([",", ", ", "\n", "\r\n", ",\n", "\x85", "\u2028"]).map(lambda by: by.join(words))
    )
    .map(lambda text: text.encode("utf-8", "replace")),
    st.binary(max_size=60),
    EDITS.map(lambda edits: edited(b"4,7,11,12,15\n16,19\r\n", edits)),
)

LINES = st.one_of(
    EDITS.map(
        lambda edits: edited(b'{"epoch": 0, "losses": {"total": 1.5}}\n{"epoch": 1, "losses": {"total": 1}}\n', edits)
    ),
    st.lists(
        st.sampled_from(
            ['{"epoch": 0}', "[" * 9000, "9" * 5000, "{}", "[]", "NaN", '{"epoch": 1e999}', "", "\x85", "\0"]
        ),
        max_size=4,
    ).map(lambda lines: "\n".join([*lines, ""]).encode()),
    st.binary(max_size=60),
)
STORE_CHANGES = st.tuples(st.sampled_from(["manifest.json", "samples.csv", "images.npy"]), EDITS, st.booleans())
IMAGE_CHANGES = st.tuples(st.integers(0, 14), EDITS)
