"""One HTML page of a run, with its assets beside it; it needs no network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from plotly.offline import get_plotlyjs  # type: ignore[import-untyped]

from gifd_bench.benchmark.report.comparison import comparison_tables
from gifd_bench.benchmark.report.facts import axes_of, circumstances_of
from gifd_bench.benchmark.report.pictures import Gallery
from gifd_bench.benchmark.report.plots import Plots
from gifd_bench.benchmark.report.reconstructions import read_curve
from gifd_bench.benchmark.report.summary import shown_metrics, summaries_of
from gifd_bench.benchmark.results.rows import STATUSES, Row
from gifd_bench.benchmark.results.run_folder import RunFolder
from gifd_bench.benchmark.statistics.interval import FEWEST_UNITS, LEVEL
from gifd_bench.common.files import make_folder, write_text

ASSETS = "report"
OWN_ASSETS = ("report.css", "report.js")
PLOTLY = "plotly.min.js"
# Label accuracy is one or zero: its differences have no ranks to speak of.
COMPARED = ("psnr", "ssim", "lpips_alex", "lpips_vgg")


@dataclass(frozen=True)
class Filter:
    """A choice of what the page shows."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Failure:
    """Cells of one attack that have no scores, for one reason."""

    task: str
    defense: str
    attack: str
    status: str
    reason: str
    cells: tuple[str, ...]


def write_report(run: RunFolder, rows: list[Row]) -> None:
    """Write `report.html` and `report/` into the folder of a run; cells that have not ended are shown as
    such.

    Args:
        run: the folder.
        rows: its rows, one a cell.

    Raises:
        BenchmarkError: a file of the run is damaged, or the page cannot be written.
    """
    assets = run.report.parent / ASSETS
    make_folder(assets / "images")
    _write_assets(assets)
    matrix = run.load_matrix()
    metrics, summaries = shown_metrics(rows), summaries_of(rows)
    environment = Environment(
        loader=PackageLoader("gifd_bench.benchmark.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("report.html").render(
        name=matrix.name,
        assets=ASSETS,
        counts={status: sum(row.status == status for row in rows) for status in STATUSES},
        total=len(rows),
        axes=axes_of(matrix),
        circumstances=circumstances_of(rows),
        filters=_filters(rows),
        metrics=metrics,
        summaries=summaries,
        tasks=list(dict.fromkeys(row.task for row in rows)),
        comparisons=comparison_tables(summaries, [m for m in metrics if m.name in COMPARED]),
        plots=Plots(summaries, lambda row: read_curve(run.cell(row.cell).reconstruction)).all(metrics),
        sections=Gallery(run, assets / "images", f"{ASSETS}/images").sections(rows),
        failures=_failures(rows),
        rows=rows,
        notes=sorted({row.reason for row in rows if row.status == "done" and row.reason}),
        level=f"{LEVEL:.0%}",
        fewest=FEWEST_UNITS,
    )
    write_text(run.report, page)


def _write_assets(folder: Path) -> None:
    """The style sheet, the script, and plotly's from its wheel."""
    source = files("gifd_bench.benchmark.report") / "assets"
    for name in OWN_ASSETS:
        write_text(folder / name, (source / name).read_text(encoding="utf-8"))
    plotly, content = folder / PLOTLY, get_plotlyjs()
    if not plotly.is_file() or plotly.stat().st_size != len(content.encode()):
        write_text(plotly, content)


def _filters(rows: Sequence[Row]) -> list[Filter]:
    """What the page can be narrowed down by: what there are at least two of."""
    axes = {
        "task": [row.task for row in rows],
        "defense": [row.defense for row in rows],
        "attack": [row.attack_name for row in rows],
        "status": [row.status for row in rows],
    }
    found = [Filter(name, tuple(dict.fromkeys(values))) for name, values in axes.items()]
    return [choice for choice in found if len(choice.values) > 1]


def _failures(rows: Sequence[Row]) -> list[Failure]:
    """Cells that failed or were skipped; those of one attack, defense and reason together."""
    found: dict[tuple[str, str, str, str, str], list[str]] = {}
    for row in rows:
        if row.status in ("failed", "skipped"):
            key = row.task, row.defense, row.attack_name, row.status, row.reason or ""
            found.setdefault(key, []).append(f"target {row.target}, seed {row.seed}")
    return [Failure(*key, tuple(cells)) for key, cells in found.items()]
