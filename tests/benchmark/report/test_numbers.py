"""What the tables of a report say, from results that are known."""

from __future__ import annotations

import csv
import io
import math
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.matrix.cell import Cell
from gifd_bench.benchmark.report.comparison import comparison_tables
from gifd_bench.benchmark.report.drawing import whiskers
from gifd_bench.benchmark.report.formats import ALL, TEXTS, TableOptions
from gifd_bench.benchmark.report.naming import Names
from gifd_bench.benchmark.report.plots import POINTS, Plots, mean_curve
from gifd_bench.benchmark.report.summary import METRICS, Summary, shown_metrics, summaries_of
from gifd_bench.benchmark.results.rows import Row
from gifd_bench.benchmark.statistics.interval import Interval, mean_interval
from tests.benchmark.helpers import tiny_matrix
from tests.benchmark.report.helpers import FAILED, PENDING, SKIPPED, Answer, finished_rows

TARGETS = list(range(8))


def better_gifd(cell: Cell) -> Answer | str:
    """GIFD is ahead by 3 dB on target 0, by 4 on target 1, and so on."""
    gifd = cell.attack.label == "gifd"
    psnr = 10.0 + cell.target + (3 + cell.target if gifd else 0)
    return Answer((psnr,), stages=(psnr - 2, psnr) if gifd else (), lpips=(1 / psnr,))


@pytest.fixture
def rows(tmp_path: Path) -> list[Row]:
    return finished_rows(tiny_matrix(tmp_path, targets=TARGETS), tmp_path / "out", better_gifd)


def by_name(summaries: list[Summary]) -> dict[tuple[str, str], Summary]:
    return {(s.group.defense, s.group.attack): s for s in summaries}


def test_a_mean_is_over_the_images_with_the_interval_of_their_scores(rows: list[Row]) -> None:
    summary = by_name(summaries_of(rows))["none", "ig"]
    assert summary.intervals["psnr"] == mean_interval([10.0 + target for target in TARGETS])
    assert summary.intervals["lpips_vgg"] is None
    assert (summary.gradient_evaluations, summary.seconds) == (10, 2)
    assert summary.missing == ""


def test_best_is_the_most_psnr_and_the_least_lpips_of_each_defense(rows: list[Row]) -> None:
    for (_, attack), summary in by_name(summaries_of(rows)).items():
        # Labels are all right for both: none is best.
        assert summary.best == ({"psnr", "ssim", "lpips_alex"} if attack.startswith("gifd") else set())


def test_an_attack_that_lacks_cells_is_counted_and_not_called_best(tmp_path: Path) -> None:
    statuses = {("gifd", 0): FAILED, ("gifd", 1): SKIPPED, ("gifd", 2): PENDING}
    matrix = tiny_matrix(
        tmp_path, targets=TARGETS, attacks={"ig": {}, "latent": {}, "gifd": {}}, defenses={"none": None}
    )
    rows = finished_rows(
        matrix,
        tmp_path / "out",
        lambda cell: statuses.get((cell.attack.label, cell.target)) or better_gifd(cell),
    )
    gifd = by_name(summaries_of(rows))["none", "gifd (cifar10)"]
    assert gifd.missing == "1 failed, 1 skipped, 1 pending"
    assert gifd.intervals["psnr"] == mean_interval([13.0 + 2 * target for target in TARGETS[3:]])
    assert gifd.best == set()


def test_a_metric_that_a_cell_lacks_has_no_mean(tmp_path: Path) -> None:
    def outcome(cell: Cell) -> Answer:
        return Answer((10.0,), lpips=(0.1,) if cell.target else None)

    rows = finished_rows(tiny_matrix(tmp_path, targets=[0, 1]), tmp_path / "out", outcome)
    for summary in summaries_of(rows):
        assert summary.intervals["lpips_alex"] is None
        assert summary.intervals["psnr"] is not None
    for table in comparison_tables(summaries_of(rows), METRICS[2:3]):
        assert [c.unpaired for c in table.comparisons] == [1, 1]


def test_attacks_are_compared_on_the_same_images(rows: list[Row]) -> None:
    tables = comparison_tables(summaries_of(rows), shown_metrics(rows)[:1])
    assert [(t.task, t.metric.name, t.tests) for t in tables] == [("photos", "psnr", 2)]
    for comparison in tables[0].comparisons:
        assert (comparison.best, comparison.other) == ("gifd (cifar10)", "ig")
        found = comparison.difference
        assert found.interval is not None
        assert found.interval.mean == pytest.approx(fmean(3 + target for target in TARGETS))
        assert found.p is not None
        assert found.adjusted is not None
        assert 0 < found.p == found.adjusted < 0.01
        assert comparison.unpaired == 0


def test_attacks_that_the_test_cannot_tell_apart_share_the_best(tmp_path: Path) -> None:
    ahead = [3.0, -1.0, 2.0, -2.0, 1.0, 4.0, -3.0, 2.5]

    def outcome(cell: Cell) -> Answer:
        attack, psnr = cell.attack.label, 20.0 + cell.target
        return Answer((psnr + {"ig": 0.0, "gifd": ahead[cell.target], "latent": -5.0}[attack],))

    attacks: dict[str, dict[str, Any]] = {"ig": {}, "latent": {}, "gifd": {}}
    matrix = tiny_matrix(tmp_path, targets=TARGETS, attacks=attacks, defenses={"none": None})
    summaries = by_name(summaries_of(finished_rows(matrix, tmp_path / "out", outcome)))
    best = {attack: "psnr" in s.best for (_, attack), s in summaries.items()}
    assert best == {"ig": True, "gifd (cifar10)": True, "latent (cifar10)": False}


@pytest.mark.slow
def test_seeds_of_an_image_are_one_pair_and_cells_without_a_partner_are_counted(tmp_path: Path) -> None:
    def outcome(cell: Cell) -> Answer | str:
        return FAILED if (cell.attack.label, cell.target, cell.seed) == ("ig", 7, 0) else better_gifd(cell)

    rows = finished_rows(tiny_matrix(tmp_path, targets=TARGETS, seeds=[0, 1]), tmp_path / "out", outcome)
    comparison = comparison_tables(summaries_of(rows), METRICS[:1])[0].comparisons[0]
    assert comparison.difference.interval is not None
    assert comparison.difference.interval.n == 8
    assert comparison.difference.interval.mean == pytest.approx(fmean(3 + target for target in TARGETS))
    assert comparison.unpaired == 1


def test_every_image_of_a_batch_counts(tmp_path: Path) -> None:
    task = {"dataset": "photos", "model": {"use": "convnet", "width": 2}, "batch_size": 2}
    rows = finished_rows(
        tiny_matrix(tmp_path, tasks={"photos": task}), tmp_path / "out", lambda _: Answer((10.0, 20.0))
    )
    for summary in summaries_of(rows):
        assert summary.group.images == 2
        assert summary.intervals["psnr"] == mean_interval([10.0, 20.0])


def test_csv_reads_back_unrounded(rows: list[Row]) -> None:
    lines = list(csv.DictReader(io.StringIO(TEXTS["csv"](rows, ALL))))
    for line, summary in zip(lines, summaries_of(rows), strict=True):
        interval = summary.intervals["psnr"]
        assert interval is not None
        assert [float(line[f"psnr{end}"]) for end in ("", "_low", "_high")] == [
            interval.mean,
            interval.low,
            interval.high,
        ]
        assert (line["lpips_vgg"], line["images"], line["done"], line["failed"]) == ("", "8", "8", "0")


def test_markdown_has_intervals_and_bold_and_leaves_out_a_metric_that_nobody_has(rows: list[Row]) -> None:
    header, _, ig, gifd, *_ = TEXTS["markdown"](rows, ALL).splitlines()
    assert "LPIPS (Alex) ↓" in header
    assert "VGG" not in header
    assert "| 13.50 [" in ig
    assert "**20.00** [" in gifd
    assert ig.endswith("| 10 | 8 | 8/8 |")


def test_over_too_few_images_for_a_test_nobody_is_best_and_charts_have_no_whiskers(
    tmp_path: Path,
) -> None:
    found = finished_rows(tiny_matrix(tmp_path, targets=[0, 1, 2]), tmp_path / "out", better_gifd)
    assert not any(summary.best for summary in summaries_of(found))
    assert whiskers([Interval(10.0, None, None, 3)])["visible"] is False
    bars = whiskers([Interval(10.0, None, None, 3), Interval(10.0, 8.0, 11.0, 6)])
    assert (bars["visible"], bars["array"], bars["arrayminus"]) == (True, [None, 1.0], [None, 2.0])


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
@pytest.mark.parametrize("significance", [True, False])
def test_latex_compiles(rows: list[Row], tmp_path: Path, significance: bool) -> None:
    table = TEXTS["latex"](relabeled(rows, r"a_b & 100% \x{y}~^$#"), TableOptions((), significance))
    document = tmp_path / "it.tex"
    document.write_text(
        "\\documentclass{article}\\usepackage{booktabs}\\begin{document}\n"
        f"{table}\n\\end{{document}}\n",
        encoding="utf-8",
    )
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", document.name]
    made = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert made.returncode == 0, made.stdout[-2000:]
    assert (tmp_path / "it.pdf").read_bytes().startswith(b"%PDF-")


def relabeled(rows: list[Row], attack: str) -> list[Row]:
    return [replace(row, attack=attack) if row.attack == "ig" else row for row in rows]


def test_latex_is_a_booktabs_table_with_every_special_character_escaped(rows: list[Row]) -> None:
    table = TEXTS["latex"](relabeled(rows, r"a_b & 100% \x{y}~^$#"), ALL)
    assert r"\begin{tabular}{lllrrrrrrr}" in table
    assert [table.count(rf"\{rule}rule") for rule in ("top", "mid", "bottom")] == [1, 2, 1]
    assert r"a\_b \& 100\% \textbackslash{}x\{y\}\textasciitilde{}\textasciicircum{}\$\# &" in table
    assert r"\textbf{20.00} {\scriptsize [" in table
    body = [line for line in table.splitlines() if line.endswith(r"\\")]
    assert {line.replace(r"\&", "").count("&") for line in body} == {9}


def test_latex_says_how_sure_it_is_and_shows_the_columns_that_are_asked_for(rows: list[Row]) -> None:
    table = TEXTS["latex"](rows, TableOptions(("psnr", "ssim"), significance=True))
    lines = table.splitlines()
    assert lines[1:3] == [r"\begin{table}", r"\centering"]
    assert lines[-1] == r"\end{table}"
    assert "$n$ = 8 private images" in table
    assert "Holm" in table
    assert r"95\% confidence" in table
    assert r"\begin{tabular}{lllrrrr}" in table
    body = [line.removesuffix(r" \\").split(" & ") for line in lines if line.endswith(r"\\")]
    assert {len(cells) for cells in body} == {7}
    assert body[0][3:] == [r"PSNR $\uparrow$", "$p$", r"SSIM $\uparrow$", "$p$"]
    ig, gifd = body[1:3]
    assert (ig[4], gifd[4]) == ("0.004", "best")
    assert gifd[3].startswith(r"\textbf{20.00} {\scriptsize [")
    assert "LPIPS" not in table
    # Every brace and environment is closed.
    assert table.count("{") == table.count("}")
    assert table.count(r"\begin") == table.count(r"\end")


@pytest.mark.parametrize("form", sorted(TEXTS))
def test_a_column_that_no_cell_has_is_an_error(form: str, rows: list[Row]) -> None:
    with pytest.raises(BenchmarkError, match="no cell has 'lpips_vgg'; there are: psnr, ssim, lpips_alex"):
        TEXTS[form](rows, TableOptions(("lpips_vgg",)))


def test_markdown_escapes_what_would_end_a_cell(rows: list[Row]) -> None:
    assert r"| a\|b |" in TEXTS["markdown"](relabeled(rows, "a|b"), ALL)


def plots_of(rows: list[Row], curve: Callable[[Row], Tensor] = lambda _: torch.tensor([0.2, 0.1])) -> Plots:
    return Plots(summaries_of(rows), Names.of(rows), curve)


def test_lines_go_through_what_every_stage_cost_and_reached(rows: list[Row]) -> None:
    plots = plots_of(rows).all(METRICS[:1])
    assert [(plot.defense, plot.heading.split(": ")[1]) for plot in plots] == [
        (None, "PSNR by defense"),
        ("none", "PSNR against gradient evaluations"),
        ("none", "PSNR by stage"),
        ("none", "matching loss by iteration"),
        ("noise", "PSNR against gradient evaluations"),
        ("noise", "PSNR by stage"),
        ("noise", "matching loss by iteration"),
    ]
    ig, gifd = plots[1].spec["data"]
    assert (ig["x"], ig["y"]) == ([10], [13.5])
    assert (gifd["x"], gifd["y"]) == ([10, 20], [18.0, 20.0])
    (stages,) = plots[2].spec["data"]
    assert (stages["x"], stages["y"]) == (["latent", "4x4"], [18.0, 20.0])


def loss_traces(rows: list[Row], curve: Callable[[Row], Tensor]) -> list[dict[str, Any]]:
    (plot,) = [p for p in plots_of(rows, curve).all(()) if p.defense == "none" and "loss" in p.heading]
    assert plot.spec["layout"]["yaxis"]["type"] == "log"
    traces: list[dict[str, Any]] = plot.spec["data"]
    return traces


def test_a_loss_curve_is_the_mean_over_the_cells(rows: list[Row]) -> None:
    scale = {"ig": 1.0, "gifd": 10.0}

    def curve(row: Row) -> Tensor:
        return scale[row.attack] * (1 + row.target) * torch.tensor([4.0, 2.0, 1.0])

    ig, gifd = loss_traces(rows, curve)
    assert (ig["meta"], ig["x"], ig["y"]) == ({"attack": "ig"}, [1, 2, 3], [18.0, 9.0, 4.5])
    assert gifd["y"] == [180.0, 90.0, 45.0]


@given(length=st.integers(1, 5000))
def test_a_long_curve_is_thinned_out_from_its_first_iteration_to_its_last(length: int) -> None:
    iterations, losses = mean_curve([torch.arange(1.0, length + 1)] * 2)
    assert len(iterations) == min(length, POINTS)
    assert (iterations[0], iterations[-1]) == (1, length)
    assert iterations == sorted(set(iterations))
    assert losses == pytest.approx(iterations, rel=1e-3)


def test_a_curve_has_a_gap_where_a_loss_is_no_number_or_has_no_logarithm(rows: list[Row]) -> None:
    bad = [1.0, math.nan, math.inf, 0.0, 2.0]

    def curve(row: Row) -> Tensor:
        return torch.tensor(bad if row.target in (0, 1) else [1.0, 1.0, 1.0, 0.0, 2.0])

    for trace in loss_traces(rows, curve):
        assert trace["y"] == [1.0, None, None, None, 2.0]
    assert not [p for p in plots_of(rows, lambda _: torch.zeros(3)).all(()) if "loss" in p.heading]


def test_bars_have_the_intervals_of_the_table(rows: list[Row]) -> None:
    (plot,) = [p for p in plots_of(rows).all(METRICS[:1]) if p.defense is None]
    bar = plot.spec["data"][0]
    interval = by_name(summaries_of(rows))["none", "ig"].intervals["psnr"]
    assert interval is not None
    assert interval.low is not None
    assert bar["y"][0] == interval.mean
    assert bar["y"][0] - bar["error_y"]["arrayminus"][0] == pytest.approx(interval.low)
    assert bar["x"] == ["no defense", "noise (std 0.01)"]


def test_labels_are_text_to_plotly_not_markup(rows: list[Row]) -> None:
    plots = plots_of(relabeled(rows, "<a href='http://x.example'>x</a>")).all(METRICS[:1])
    assert plots[0].spec["data"][0]["name"].startswith("&lt;a href=")


def test_a_run_with_nothing_done_has_tables_without_numbers(tmp_path: Path) -> None:
    rows = finished_rows(tiny_matrix(tmp_path), tmp_path / "out", lambda _: PENDING)
    for text in TEXTS.values():
        assert text(rows, ALL)
    summaries = summaries_of(rows)
    assert [s.missing for s in summaries] == ["1 pending"] * 4
    assert plots_of(rows).all(METRICS) == []
