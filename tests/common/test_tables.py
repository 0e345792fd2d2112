"""Tables that fit into a terminal without a broken word."""

from __future__ import annotations

import re

import pytest

from gifd_bench.benchmark.commands.terminal import Terminal
from gifd_bench.common.tables import Column, FittedTable

ROWS = [
    ("photos", "gaussian_noise_std_0.01", "gifd (cifar10)", "20.12", "0.555", "1,501"),
    (
        "photos_of_hospital",
        "dp_sgd_noise_multiplier_0.1",
        "gifd (stylegan2_ffhq)",
        "9.00",
        "0.123",
        "999",
    ),
]
COLUMNS = [
    Column("task"),
    Column("defense"),
    Column("attack"),
    Column("PSNR", number=True),
    Column("SSIM", number=True, optional=True),
    Column("gradient evaluations", number=True, optional=True),
]


def printed(width: int) -> list[str]:
    table = FittedTable(COLUMNS)
    for row in ROWS:
        table.add_row(*row)
    console = Terminal(width=width)
    with console.capture() as capture:
        console.print(table)
    lines = capture.get().splitlines()
    assert max(map(len, lines)) <= width
    return lines


def words(text: str) -> set[str]:
    return set(re.split(r"[\s_/]+", text)) - {""}


@pytest.mark.parametrize("width", [60, 70, 80, 100])
def test_no_word_and_no_number_is_broken(width: int) -> None:
    table, _, omission = " ".join(printed(width)).partition("not shown")
    found = words(table)
    shown = [k for k, column in enumerate(COLUMNS) if column.heading not in " ".join(omission.split())]
    assert shown[:4] == [0, 1, 2, 3]
    for row in ROWS:
        for k in shown:
            assert words(row[k]) <= found


def test_a_wide_terminal_has_a_line_for_each_row() -> None:
    assert [line.split()[0] for line in printed(140)] == ["task", "photos", "photos_of_hospital"]


def test_what_is_left_out_is_named() -> None:
    text = " ".join(" ".join(printed(40)).split())
    assert text.endswith("not shown, because the terminal is too narrow: SSIM, gradient evaluations")
    assert "0.555" not in text


def test_words_are_broken_before_a_line_is_too_long() -> None:
    assert "multiplier" not in "".join(printed(24))


def test_nothing_in_a_text_is_markup() -> None:
    table = FittedTable([Column("[b]head")])
    table.add_row("[red]label[/]")
    console = Terminal(width=40)
    with console.capture() as capture:
        console.print(table)
    assert capture.get().split() == ["[b]head", "[red]label[/]"]
