"""Rows as text."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.cells import cell_len

from gifd_bench.benchmark.results.groups import Group, groups_of
from gifd_bench.benchmark.results.rows import Row, columns_of
from gifd_bench.common.tables import Column, FittedTable, omission

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


def cell_lines(rows: Sequence[Row], width: int | None = None) -> str:
    """Every cell for a terminal, one on each line, with words aligned left and numbers aligned right.

    Args:
        rows: the cells.
        width: the width of the terminal, into which the lines fit if leaving out metrics suffices; a line
            below the table names these metrics. `None` shows everything.
    """
    shown = _shown(rows)
    lines = [[HEADINGS.get(name, name) for name in shown], *(_texts(row, shown) for row in rows)]
    columns = {
        name: _aligned([_on_one_line(text) for text in column], bool(form))
        for column, (name, form) in zip(zip(*lines, strict=True), shown.items(), strict=True)
    }
    omitted: list[str] = []
    optional = [name for name in columns if shown[name] and name not in ("target", "psnr", "ssim")]
    while width and optional and sum(cell_len(c[0]) + 2 for c in columns.values()) - 2 > width:
        name = optional.pop()
        del columns[name]
        omitted.insert(0, HEADINGS.get(name, name))
    text = "\n".join("  ".join(texts).rstrip() for texts in zip(*columns.values(), strict=True))
    return text + f"\n{omission(omitted)}" if omitted else text


def _aligned(texts: Sequence[str], right: bool) -> list[str]:
    """The texts of a column, padded to one width. Rich would take milliseconds for each row."""
    widths = [cell_len(text) for text in texts]
    widest = max(widths)
    spaces = [" " * (widest - width) for width in widths]
    return [space + text if right else text + space for text, space in zip(texts, spaces, strict=True)]


def _on_one_line(text: str) -> str:
    """A text without characters that would move a terminal's cursor, which a name may hold."""
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)


def mean_table(rows: Sequence[Row]) -> FittedTable:
    """Means over the cells that are done, for a terminal."""
    columns = [
        Column(heading, number=k >= 3, optional=heading in ("LPIPS", "evals"))
        for k, heading in enumerate(MEAN_HEADINGS)
    ]
    table = FittedTable(columns, "means over the images of the cells that are done (PSNR in dB)")
    for texts in mean_texts(rows):
        table.add_row(*texts)
    return table


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
