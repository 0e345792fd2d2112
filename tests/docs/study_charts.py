"""The charts of docs/study.md."""

from __future__ import annotations

import matplotlib as mpl
from matplotlib.figure import Figure

from gifd_bench.benchmark.figures.style import PAGE as PAGE_WIDTH
from gifd_bench.benchmark.figures.style import SETTINGS, color, line, reaches, save
from gifd_bench.benchmark.statistics.paired import mean_of
from tests.docs.pages import ROOT
from tests.docs.study_cells import TUNED, VICTIMS, Cells, best_first, by_defense

PICTURE = ROOT / "docs" / "images" / "study.svg"
DEFENDED_PICTURE = ROOT / "docs" / "images" / "study_defenses.svg"


def draw() -> None:
    """The mean PSNR of every attack, tuned and untuned, with intervals, as an SVG file."""
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(PAGE_WIDTH, 2.2), layout="constrained")
        for axes, (task, victim) in zip(
            figure.subplots(1, len(VICTIMS), squeeze=False)[0], VICTIMS.items(), strict=True
        ):
            cells = Cells.read(f"study_{task}")
            attacks = best_first(cells.by_attack(TUNED))
            for number, (suffix, label) in enumerate((("", "untuned"), (TUNED, "tuned"))):
                column = cells.by_attack(suffix)
                means = [mean_of(column[attack].scores()) for attack in attacks]
                axes.errorbar(
                    [interval.mean for interval in means],
                    [place + 0.15 - 0.3 * number for place in range(len(attacks))],
                    xerr=reaches(means),
                    fmt="os"[number],
                    color=color(number),
                    markerfacecolor=color(number) if suffix else "white",
                    elinewidth=0.6,
                    capsize=1.5,
                    label=label,
                )
            axes.set_yticks(range(len(attacks)), attacks)
            axes.invert_yaxis()
            axes.set_title(victim)
            axes.set_xlabel("PSNR (dB)")
            axes.grid(visible=True, axis="x")
            axes.legend()
        save(figure, PICTURE, "svg")


def draw_defenses() -> None:
    """The mean PSNR of every tuned attack under each defense, with intervals, as an SVG file."""
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(PAGE_WIDTH, 4.2), layout="constrained")
        for axes, (task, victim) in zip(
            figure.subplots(len(VICTIMS), 1, squeeze=False)[:, 0], VICTIMS.items(), strict=True
        ):
            columns = by_defense(task)
            attacks = best_first(columns["none"])
            for number, attack in enumerate(sorted(attacks)):
                means = [mean_of(column[attack].scores()) for column in columns.values()]
                places = [place + 0.1 * (number - (len(attacks) - 1) / 2) for place in range(len(columns))]
                line(axes, number, attack, places, means, joined=False)
            axes.set_xticks(range(len(columns)), columns)
            axes.set_title(victim)
            axes.set_ylabel("PSNR (dB)")
            axes.grid(visible=True, axis="y")
        figure.legend(
            *figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(attacks)
        )
        save(figure, DEFENDED_PICTURE, "svg")
