"""Let the standard streams accept characters that their encoding lacks, and drop output that nobody reads any more."""

import codecs
import os
import sys
from contextlib import suppress

# Replacements for the characters in the program's own texts that some encodings lack.
_PLAIN = {
    "×": "x",
    "·": "|",
    "…": "...",
    "→": "->",
    "±": "+-",
    "−": "-",
    "–": "-",
    "—": "-",
    "≥": ">=",
    "‖": "||",
    "✓": "v",
    "✗": "x",
    "�": "?",
    "²": "^2",
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
}
PLAINER = "lba-plainer"  # the name of the error handler


def write_all_characters() -> None:
    """Let the standard streams replace characters that their encoding lacks, instead of raising UnicodeEncodeError.

    Characters that the program's own texts contain become similar ASCII characters, such as ``x`` for ``×``. Any other
    character becomes its code in Python's notation, such as ``\\u56fe``.
    """
    codecs.register_error(PLAINER, _plainer)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # tests and notebooks may replace a stream, or remove it
            stream.reconfigure(errors=PLAINER)


def drop_output() -> None:
    """Send later output of stdout to the null device. Otherwise Python would report at exit that nobody reads stdout."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _plainer(problem: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(problem, UnicodeEncodeError):
        raise problem
    text = problem.object[problem.start : problem.end]
    plain = "".join(_PLAIN.get(letter) or letter.encode("ascii", "backslashreplace").decode() for letter in text)
    return plain, problem.end
