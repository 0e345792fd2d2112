"""The tables of docs/study.md, from the committed results of the study. Run: `python -m tests.docs.study`.

Each table stands between two comments, which name it. `make study` runs the matrices, writes their cells to
docs/results and then these tables.
"""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

import matplotlib as mpl
from matplotlib.figure import Figure

from gifd_bench.benchmark.figures.style import PAGE as PAGE_WIDTH
from gifd_bench.benchmark.figures.style import SETTINGS, color, reaches, save
from gifd_bench.benchmark.results.tables import markdown
from gifd_bench.benchmark.statistics.interval import Interval, Range
from gifd_bench.benchmark.statistics.paired import Scores, against_best, difference, mean_of
from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "study.md"
RESULTS = ROOT / "docs" / "results"
PICTURE = ROOT / "docs" / "images" / "study.svg"
TUNED = "_tuned"
# The victim of each matrix, as the picture calls it.
STUDIES = {"study_convnet": "convolutional network", "study_resnet18": "ResNet-18"}
SHARE: Range = (0.0, 1.0)
HEADINGS = (
    "attack",
    "PSNR, untuned",
    "PSNR, tuned",
    "tuned − untuned",
    "best − this one",
    "SSIM, tuned",
    "identified, tuned",
)


@dataclass(frozen=True)
class Cells:
    """The cells of a matrix that are done."""

    rows: Sequence[dict[str, str]]

    @classmethod
    def read(cls, name: str) -> Cells:
        """Those of a committed file."""
        with (RESULTS / f"{name}.csv").open(newline="") as file:
            return cls([row for row in csv.DictReader(file) if row["status"] == "done"])

    def attacks(self) -> list[str]:
        """The attacks, in their order."""
        return list(dict.fromkeys(row["attack"] for row in self.rows))

    def scores(self, attack: str, metric: str = "psnr") -> Scores:
        """An attack's scores, one for each image: all are batches of one."""
        rows = [row for row in self.rows if row["attack"] == attack]
        return {(row["target"], row["seed"]): float(row[metric]) for row in rows}


def best_first(cells: Cells) -> list[str]:
    """The attacks that were tuned, by their mean PSNR with tuned options."""
    attacks = [attack.removesuffix(TUNED) for attack in cells.attacks() if attack.endswith(TUNED)]
    return sorted(attacks, key=lambda attack: -fmean(cells.scores(attack + TUNED).values()))


def table(cells: Cells) -> str:
    """Every attack with tuned and with untuned options, the best first."""
    attacks = best_first(cells)
    against = against_best([cells.scores(attack + TUNED) for attack in attacks], sign=1)
    lines = []
    for place, attack in enumerate(attacks):
        untuned, tuned = cells.scores(attack), cells.scores(attack + TUNED)
        behind = against.differences[place].interval if place in against.differences else None
        shown = with_ends(mean_of(tuned), ".1f")
        lines.append(
            [
                f"`{attack}`",
                with_ends(mean_of(untuned), ".1f"),
                f"**{shown}**" if place in against.shared else shown,
                with_ends(difference(tuned, untuned).interval, "+.1f"),
                with_ends(behind, ".1f"),
                with_ends(mean_of(cells.scores(attack + TUNED, "ssim"), SHARE), ".2f"),
                found(cells.scores(attack + TUNED, "identified")),
            ]
        )
    return markdown(HEADINGS, lines)


def with_ends(interval: Interval | None, form: str) -> str:
    """A mean with the ends of its interval."""
    return "–" if interval is None else f"{interval.mean:{form}}{interval.ends(form)}"


def found(scores: Scores) -> str:
    """How many images were found among the others."""
    return f"{sum(scores.values()):.0f} of {len(scores)}"


def draw() -> None:
    """The mean PSNR of every attack, tuned and untuned, with intervals, as an SVG file."""
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(PAGE_WIDTH, 2.2), layout="constrained")
        for axes, (name, victim) in zip(
            figure.subplots(1, len(STUDIES), squeeze=False)[0], STUDIES.items(), strict=True
        ):
            cells = Cells.read(name)
            attacks = best_first(cells)
            for number, (suffix, label) in enumerate((("", "untuned"), (TUNED, "tuned"))):
                means = [mean_of(cells.scores(attack + suffix)) for attack in attacks]
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


def filled(page: str) -> str:
    """The page with every table written anew."""
    for name in STUDIES:
        begin, end = f"<!-- {name} -->\n\n", f"\n\n<!-- end of {name} -->"
        before, opening, rest = page.partition(begin)
        _, closing, after = rest.partition(end)
        if opening and closing:
            page = f"{before}{begin}{table(Cells.read(name))}{end}{after}"
    return page


def names(page: str) -> Iterator[str]:
    """The tables that the page has."""
    return (match[1] for match in re.finditer(r"<!-- end of (\w+) -->", page))


def main() -> int:
    """Write the tables and the picture."""
    PAGE.write_text(filled(PAGE.read_text()))
    draw()
    return 0


if __name__ == "__main__":
    sys.exit(main())
