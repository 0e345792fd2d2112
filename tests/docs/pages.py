"""The blocks of a documentation page, in the order in which a newcomer meets them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
# The page on submitting is followed by a test of its own, beside the leaderboard's.
PAGES = [
    ROOT / "README.md",
    *(page for page in sorted((ROOT / "docs").glob("*.md")) if page.name != "submitting.md"),
]
INDENT = "    "
FENCE = "```"
SAVED_AS = re.compile(r"[Ss]ave\s+(?:it\s+|this\s+)?as\s+`([\w./-]+)`")


@dataclass(frozen=True)
class Block:
    """A block of code.

    Attributes:
        language: of its fence; `shell` where it is indented.
        text: without fence and indentation.
        line: where it begins, counted from 1.
        saved_as: the file that the paragraph above says to save it as.
    """

    language: str
    text: str
    line: int
    saved_as: str | None

    def commands(self) -> Iterator[tuple[int, str]]:
        """Its commands, each with its line; a command that goes on after a backslash is one."""
        began, parts = self.line, list[str]()
        for number, line in enumerate(self.text.splitlines(), self.line):
            if not parts:
                began = number
            parts.append(line.strip().removesuffix("\\"))
            if not line.endswith("\\"):
                command = " ".join(parts).strip()
                parts = []
                if command:
                    yield began, command


def blocks_of(page: str) -> Iterator[Block]:
    """The blocks of a page's Markdown, which is fenced code and, as shell, what is indented by four."""
    lines = page.splitlines()
    number, paragraph = 0, list[str]()
    while number < len(lines):
        line = lines[number]
        saved_as = SAVED_AS.findall(" ".join(paragraph))
        if line.startswith(FENCE):
            end = lines.index(FENCE, number + 1)
            text = "\n".join(lines[number + 1 : end]) + "\n"
            yield Block(line.removeprefix(FENCE), text, number + 2, saved_as[-1] if saved_as else None)
            number, paragraph = end + 1, []
        elif line.startswith(INDENT) and not lines[number - 1].strip():
            end = next(
                (n for n in range(number, len(lines)) if not lines[n].startswith(INDENT)), len(lines)
            )
            text = "\n".join(line.removeprefix(INDENT) for line in lines[number:end]) + "\n"
            yield Block("shell", text, number + 1, None)
            number, paragraph = end, []
        else:
            if line.strip():
                # A paragraph ends at an empty line, and the next one begins after it.
                paragraph = [*paragraph, line] if lines[number - 1].strip() else [line]
            number += 1


def inline_commands(page: str) -> list[str]:
    """Commands in the text, between single backquotes."""
    without_blocks = re.sub(r"^```.*?^```", "", page, flags=re.DOTALL | re.MULTILINE)
    return [" ".join(code.split()) for code in re.findall(r"`(gifd-bench [^`]+)`", without_blocks)]


def inline_entries(page: str) -> list[str]:
    """Axes of a matrix in the text, between single backquotes."""
    axes = "tasks|defenses|priors|attacks|metrics"
    return [" ".join(code.split()) for code in re.findall(rf"`((?:{axes}): \{{[^`]+)`", page)]
