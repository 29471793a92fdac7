"""Standard streams that can be written to whatever the text, their encoding, and whether anybody still reads them."""

import codecs
import os
import sys
from contextlib import suppress

# The characters of our own texts that some encodings lack, and what is written instead.
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

    Our own characters become plain ones, and others their codes in Python's notation, such as ``\\u56fe``.
    """
    codecs.register_error(PLAINER, _plainer)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # tests and notebooks may have put something else there, or nothing
            stream.reconfigure(errors=PLAINER)


def drop_output() -> None:
    """Let later output to stdout go nowhere, as nobody reads it any more; otherwise Python would complain when it exits."""
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
