"""Tables for a terminal, which are wrapped between words and fit into its width."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, chop_cells
from rich.console import Console, ConsoleOptions, RenderableType
from rich.table import Table
from rich.text import Text

# Between two columns.
GAP = 2
# Where a text is wrapped: between words or, if that is not enough, also after the underscores of a label
# and the slashes of a path.
WORD = re.compile(r"\S+\s*")
PART = re.compile(r"[^\s_/]+[_/]*\s*|[_/]+\s*")


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        heading: its heading.
        number: whether it holds numbers, which are aligned right and never wrapped.
        optional: whether it may be left out where the width of the terminal does not suffice.
    """

    heading: str
    number: bool = False
    optional: bool = False


class FittedTable:
    """A table as wide as the terminal allows.

    Where the width does not suffice, texts are wrapped between words, the widest column first. If that is
    not enough, they are also wrapped within labels, after underscores and slashes; then optional columns
    are left out, from the right, and named below the table. Only if that is still not enough, words are
    broken.

    Args:
        columns: the columns.
        title: a line above the table; empty for none.
    """

    def __init__(self, columns: Sequence[Column], title: str = "") -> None:
        self._columns, self._title = tuple(columns), title
        self._rows: list[tuple[tuple[str, ...], str]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add_row(self, *texts: str, style: str = "") -> None:
        """Add a row.

        Args:
            texts: the text of each column, in which nothing is markup.
            style: rich's style of the row.
        """
        self._rows.append((texts, style))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        shown = list(range(len(self._columns)))
        omitted: list[str] = []
        piece = WORD if self._fits(shown, WORD, options.max_width) else PART
        while not self._fits(shown, piece, options.max_width):
            last = next((k for k in reversed(shown) if self._columns[k].optional), None)
            if last is None:
                break
            shown.remove(last)
            omitted.insert(0, self._columns[last].heading)
        yield self._table(shown, self._widths(shown, piece, options.max_width), piece)
        if omitted:
            yield Text(omission(omitted))

    def _table(self, shown: Sequence[int], widths: Sequence[int], piece: re.Pattern[str]) -> Table:
        table = Table(
            title=Text(self._title) if self._title else None,
            title_justify="left",
            box=None,
            pad_edge=False,
            padding=(0, GAP, 0, 0),
        )
        for k, width in zip(shown, widths, strict=True):
            column = self._columns[k]
            heading = Text(_wrapped(column.heading, width, piece))
            table.add_column(heading, justify="right" if column.number else "left", no_wrap=True)
        for texts, style in self._rows:
            cells = (Text(_wrapped(texts[k], width, piece)) for k, width in zip(shown, widths, strict=True))
            table.add_row(*cells, style=style)
        return table

    def _fits(self, shown: Sequence[int], piece: re.Pattern[str], available: int) -> bool:
        """Whether the columns fit if every piece of every text has a line of its own."""
        return sum(self._narrowest(k, piece) for k in shown) + GAP * (len(shown) - 1) <= available

    def _widths(self, shown: Sequence[int], piece: re.Pattern[str], available: int) -> list[int]:
        """A width for each shown column, all of which fit together."""
        widths = [max(map(cell_len, self._texts(k))) for k in shown]
        narrowest = [self._narrowest(k, piece) for k in shown]
        room = available - GAP * (len(shown) - 1)
        while sum(widths) > room and max(widths) > 1:
            # Of the columns that can be narrower without breaking a word, if there are any.
            able = [n for n in range(len(shown)) if widths[n] > narrowest[n]] or range(len(shown))
            widths[max(able, key=lambda n: widths[n])] -= 1
        return widths

    def _narrowest(self, column: int, piece: re.Pattern[str]) -> int:
        """The width of a column without which a piece would be broken."""
        heading, *texts = self._texts(column)
        whole, wrapped = (texts, [heading]) if self._columns[column].number else ([], [heading, *texts])
        pieces = [found.rstrip() for text in wrapped for found in piece.findall(text)]
        return max(map(cell_len, [*whole, *pieces]), default=0)

    def _texts(self, column: int) -> list[str]:
        return [self._columns[column].heading, *(texts[column] for texts, _ in self._rows)]


def omission(headings: Sequence[str]) -> str:
    """A sentence about columns that are left out."""
    return f"not shown, because the terminal is too narrow: {', '.join(headings)}"


def _wrapped(text: str, width: int, piece: re.Pattern[str]) -> str:
    """A text with line breaks between its pieces, so that no line is longer than `width`."""
    if cell_len(text) <= width:
        return text
    lines, line = [], ""
    for found in piece.findall(text):
        if line and cell_len((line + found).rstrip()) > width:
            lines.append(line.rstrip())
            line = ""
        line += found
        if cell_len(line.rstrip()) > width:
            *broken, line = chop_cells(line, width)
            lines += broken
    return "\n".join([*lines, line.rstrip()])
