"""Printing texts from outside on a terminal.

Labels, class names, file names and messages of somebody's code may hold escape sequences, which move the
cursor, rename the window or hide what was printed before.
"""

from __future__ import annotations

import sys

# Unicode has a picture of each control character, as wide as a letter.
_PICTURES = {code: 0x2400 + code for code in range(0x20) if chr(code) not in "\n\t"} | {0x7F: 0x2421}
# Those of C1, and what turns the direction of writing around, have none.
_ODD = [*range(0x80, 0xA0), 0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A)]
_HARMLESS = _PICTURES | dict.fromkeys(_ODD, 0xFFFD)


def printable(text: str) -> str:
    """A text without control characters, which are replaced by visible symbols; lines and tabs stay."""
    return text if text.isprintable() else text.translate(_HARMLESS)


def say(text: str) -> None:
    """Write a line on standard error, whatever it contains."""
    sys.stderr.write(printable(text) + "\n")


def write(text: str) -> None:
    """Write one or several lines on standard output, whatever they contain."""
    sys.stdout.write(printable(text) + "\n")
