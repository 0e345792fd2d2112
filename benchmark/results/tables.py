"""Rows as text."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.cells import cell_len
from rich.table import Table

from gifd_bench.benchmark.results.groups import Group, groups_of
from gifd_bench.benchmark.results.rows import Row, columns_of

# Column of the table, and how its numbers are written.
SHOWN = {
    "task": "",
    "defense": "",
    "target": "d",
    "attack": "",
    "prior": "",
    "status": "",
    "psnr": ".2f",
    "ssim": ".3f",
    "lpips_alex": ".3f",
    "label_accuracy": ".2f",
    "matching_loss": ".4f",
    "gradient_evaluations": "d",
    "seconds": ".1f",
}
HEADINGS = {
    "psnr": "PSNR",
    "ssim": "SSIM",
    "lpips_alex": "LPIPS",
    "label_accuracy": "labels",
    "matching_loss": "matching",
    "gradient_evaluations": "evals",
}


def as_json(rows: Sequence[Row]) -> str:
    """A JSON array with one object for each cell."""
    return json.dumps([row.as_dict() for row in rows], indent=1)


def as_csv(rows: Sequence[Row]) -> str:
    """Comma-separated values with a header."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, fieldnames=columns_of(rows), lineterminator="\n")
    writer.writeheader()
    writer.writerows(row.as_dict() for row in rows)
    return stream.getvalue().rstrip("\n")


def as_markdown(rows: Sequence[Row]) -> str:
    """A table of the cells, then the means."""
    shown = _shown(rows)
    cells = markdown([HEADINGS.get(name, name) for name in shown], [_texts(row, shown) for row in rows])
    means = markdown(MEAN_HEADINGS, mean_texts(rows))
    return f"{cells}\n\n{means}"


def cell_lines(rows: Sequence[Row]) -> str:
    """Every cell for a terminal, one on each line, with words aligned left and numbers aligned right."""
    shown = _shown(rows)
    lines = [[HEADINGS.get(name, name) for name in shown], *(_texts(row, shown) for row in rows)]
    columns = [
        _aligned([_on_one_line(text) for text in column], bool(form))
        for column, form in zip(zip(*lines, strict=True), shown.values(), strict=True)
    ]
    return "\n".join("  ".join(texts).rstrip() for texts in zip(*columns, strict=True))


def _aligned(texts: Sequence[str], right: bool) -> list[str]:
    """The texts of a column, padded to one width. Rich would take milliseconds for each row."""
    widths = [cell_len(text) for text in texts]
    widest = max(widths)
    spaces = [" " * (widest - width) for width in widths]
    return [space + text if right else text + space for text, space in zip(texts, spaces, strict=True)]


def _on_one_line(text: str) -> str:
    """A text without characters that would move a terminal's cursor, which a name may hold."""
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)


def mean_table(rows: Sequence[Row]) -> Table:
    """Means over the cells that are done, for a terminal."""
    table = _table("means over the images of the cells that are done (PSNR in dB)")
    for column, heading in enumerate(MEAN_HEADINGS):
        words = column < 3
        table.add_column(heading, justify="left" if words else "right", overflow="fold", no_wrap=not words)
    for texts in mean_texts(rows):
        table.add_row(*texts)
    return table


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))


MEAN_HEADINGS = ["task", "defense", "attack", "PSNR", "SSIM", "LPIPS", "evals", "images", "missing"]


def mean_texts(rows: Sequence[Row]) -> list[list[str]]:
    """One line for each task, defense and attack: means, the number of images, and the missing cells."""
    return [[g.task, g.defense, g.attack, *_mean_numbers(g)] for g in groups_of(rows)]


def _mean_numbers(group: Group) -> list[str]:
    numbers = [_number(group.mean(name), SHOWN[name]) for name in ("psnr", "ssim", "lpips_alex")]
    evaluations = _number(group.mean("gradient_evaluations"), ".0f")
    return [*numbers, evaluations, str(group.images), str(len(group.rows) - len(group.done))]


def _shown(rows: Sequence[Row]) -> dict[str, str]:
    """Columns of the table with the format of their numbers, including the further metrics of the rows."""
    return SHOWN | {name: ".4g" for row in rows for name in row.extra}


def _texts(row: Row, shown: Mapping[str, str]) -> list[str]:
    values = row.as_dict()
    return [_number(values[name], form) for name, form in shown.items()]


def _number(value: Any, form: str) -> str:
    return "–" if value is None else format(value, form)


def markdown(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table; texts are escaped."""
    table = [headings, ["---"] * len(headings), *lines]
    return "\n".join("| " + " | ".join(_cell(text) for text in line) + " |" for line in table)


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
