"""One HTML page of a run, which needs no other file and no network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from plotly.offline import get_plotlyjs  # type: ignore[import-untyped]

from gifd_bench.benchmark.report.cell_table import cell_table_of
from gifd_bench.benchmark.report.comparison import comparison_tables
from gifd_bench.benchmark.report.facts import axes_of, circumstances_of
from gifd_bench.benchmark.report.gallery import Section, bytes_inlined, lines_of, sections_of
from gifd_bench.benchmark.report.naming import Names
from gifd_bench.benchmark.report.opening import opening_of
from gifd_bench.benchmark.report.packing import content_hash, packed, packed_text
from gifd_bench.benchmark.report.pictures import Pictures
from gifd_bench.benchmark.report.plots import Plot, Plots
from gifd_bench.benchmark.report.reconstructions import read_curve
from gifd_bench.benchmark.report.strips import InlinedStrips, StripFolder
from gifd_bench.benchmark.report.summary import shown_metrics, summaries_of
from gifd_bench.benchmark.results.record import DAMAGED
from gifd_bench.benchmark.results.rows import STATUSES, Row
from gifd_bench.benchmark.results.run_folder import RunFolder
from gifd_bench.benchmark.statistics.interval import FEWEST_UNITS, LEVEL
from gifd_bench.common.files import make_folder, write_text

ASSETS = "report"
PLOTLY = "plotly.min.js"
# Label accuracy is one or zero: its differences have no ranks to speak of.
COMPARED = ("psnr", "ssim", "lpips_alex", "lpips_vgg")
# Pictures of all galleries that the page itself may hold, so that it can be mailed.
MOST_INLINED_BYTES = 3_500_000


@dataclass(frozen=True)
class Filter:
    """A choice of what the page shows.

    Attributes:
        values: each with what people call it.
    """

    name: str
    values: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Failure:
    """Cells of one attack that have no scores, for one reason."""

    task: str
    defense: str
    attack: str
    status: str
    reason: str
    cells: tuple[str, ...]


def write_report(run: RunFolder, rows: list[Row], single_file: bool = True) -> None:
    """Write `report.html` into the folder of a run; cells that have not ended are shown as such.

    If there are too many pictures for one page, there is a page for each task and defense in `report/`,
    with its pictures beside it.

    Args:
        run: the run folder.
        rows: its rows, one for each cell.
        single_file: whether the page holds everything that it needs; otherwise pictures and plotly's script
            are in `report/`.

    Raises:
        BenchmarkError: a file of the run is damaged, or the page cannot be written.
    """
    matrix = run.load_matrix()
    metrics, summaries, names = shown_metrics(rows), summaries_of(rows), Names.of(rows)
    sections = sections_of(rows, names)
    inlined = Pictures(run, InlinedStrips())
    apart = sum(bytes_inlined(section, inlined) for section in sections) > MOST_INLINED_BYTES
    folder = run.report.parent / ASSETS
    if apart or not single_file:
        make_folder(folder / "images")
    beside = inlined if single_file else Pictures(run, StripFolder(folder / "images", f"{ASSETS}/images"))
    plots = Plots(summaries, names, lambda row: read_curve(run.cell(row.cell).reconstruction)).all(metrics)
    if plots and not single_file:
        write_text(folder / PLOTLY, get_plotlyjs())
    page = (
        _environment()
        .get_template("report.html")
        .render(
            name=matrix.name,
            **_own_code(),
            plotly=None if not single_file or not plots else _plotly(),
            plotly_file=f"{ASSETS}/{PLOTLY}",
            opening=opening_of(summaries, names, beside),
            counts={status: sum(row.status == status for row in rows) for status in STATUSES},
            total=len(rows),
            axes=axes_of(matrix),
            circumstances=circumstances_of(rows),
            filters=_filters(rows, names),
            metrics=metrics,
            summaries=summaries,
            names=names,
            tasks=list(dict.fromkeys(row.task for row in rows)),
            comparisons=comparison_tables(summaries, [m for m in metrics if m.name in COMPARED]),
            plots=plots,
            plots_by_defense=_by_defense(plots),
            specs=packed([plot.spec for plot in plots]),
            sections=sections,
            gallery_pages=_write_galleries(run, matrix.name, sections, names) if apart else {},
            lines=lambda section: lines_of(section, beside, names),
            failures=_failures(rows),
            cells=cell_table_of(rows, metrics, names),
            notes=_notes(rows),
            lineups=_lineups(rows),
            level=f"{LEVEL:.0%}",
            fewest=FEWEST_UNITS,
        )
    )
    write_text(run.report, page)


def _write_galleries(
    run: RunFolder, name: str, sections: Sequence[Section], names: Names
) -> dict[tuple[str, str], str]:
    """A page for every section, and where it is, by task and defense."""
    folder = run.report.parent / ASSETS
    template = _environment().get_template("gallery_page.html")
    pages = {}
    for number, section in enumerate(sections, start=1):
        pictures = Pictures(run, StripFolder(folder / "images", "images"))
        file = f"gallery-{number:03d}.html"
        text = template.render(
            name=name,
            section=section,
            lines=lambda section, pictures=pictures: lines_of(section, pictures, names),
            **_own_code(),
        )
        write_text(folder / file, text)
        pages[section.task, section.defense] = f"{ASSETS}/{file}"
    return pages


def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("gifd_bench.benchmark.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _own_code() -> dict[str, str]:
    """The style sheet and the script, and the script's name in the page's policy."""
    assets = files("gifd_bench.benchmark.report") / "assets"
    style, script = ((assets / f"report.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    return {"style": style, "script": script, "script_hash": content_hash(script)}


@lru_cache(maxsize=1)
def _plotly() -> tuple[str, str]:
    """Plotly's script from its wheel, compressed, and its hash."""
    script = get_plotlyjs()
    return packed_text(script), content_hash(script)


def _by_defense(plots: Sequence[Plot]) -> dict[tuple[str, str], list[int]]:
    """The places of the plots about one defense, by task and defense."""
    found: dict[tuple[str, str], list[int]] = {}
    for place, plot in enumerate(plots):
        if plot.defense is not None:
            found.setdefault((plot.task, plot.defense), []).append(place)
    return found


def _lineups(rows: Sequence[Row]) -> list[str]:
    """The other images among which private images were to be found."""
    found = {row.record.distractors for row in rows if row.record and row.record.distractors}
    return [
        f"{others.count:,} others"
        + ("" if others.of_dataset == others.count else f", {others.of_dataset} of them of the dataset")
        for others in sorted(found, key=lambda others: (others.count, others.of_dataset))
    ]


def _notes(rows: Sequence[Row]) -> list[str]:
    """Notes about cells that are done, each given once for any number of cells."""
    texts = {text for row in rows if row.status == "done" and row.reason for text in row.reason.split("; ")}
    metrics: dict[str, list[str]] = {}
    for text in sorted(texts):
        metric, _, reason = text.partition(": ")
        metrics.setdefault(reason, []).append(metric)
    return [": ".join(filter(None, (", ".join(names), reason))) for reason, names in metrics.items()]


def _filters(rows: Sequence[Row], names: Names) -> list[Filter]:
    """What the page can be filtered by: everything of which there are at least two."""
    axes = {
        "task": [(row.task, row.task) for row in rows],
        "defense": [(row.defense, names.defense(row.defense)) for row in rows],
        "attack": [(row.attack_name, names.attack(row.attack_name)) for row in rows],
        "status": [(row.status, row.status) for row in rows],
    }
    found = [Filter(name, tuple(dict.fromkeys(values))) for name, values in axes.items()]
    return [choice for choice in found if len(choice.values) > 1]


def _failures(rows: Sequence[Row]) -> list[Failure]:
    """Cells that failed, were skipped or are damaged, grouped by attack, defense and reason."""
    found: dict[tuple[str, str, str, str, str], list[str]] = {}
    for row in rows:
        if row.status in ("failed", "skipped", DAMAGED):
            key = row.task, row.defense, row.attack_name, row.status, row.reason or ""
            found.setdefault(key, []).append(f"target {row.target}, seed {row.seed}")
    return [Failure(*key, tuple(cells)) for key, cells in found.items()]
