"""One HTML page: truth and reconstructions side by side. It holds its images and needs no network."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image
from torch import Tensor

from benchmark.matrix.cell import Cell
from benchmark.results.files import write_text
from benchmark.results.rows import Row
from benchmark.results.run_folder import RunFolder
from benchmark.results.tables import MEAN_HEADINGS, mean_texts


@dataclass(frozen=True)
class Picture:
    """An image with its caption; the source is null where there is none, and the note says why."""

    source: str | None
    caption: str
    note: str = ""


@dataclass(frozen=True)
class Line:
    """One private image: the truth, then the answer of each column's attack."""

    heading: str
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Section:
    """One task under one defense."""

    heading: str
    columns: tuple[str, ...]
    lines: tuple[Line, ...]


def write_report(run: RunFolder, rows: list[Row]) -> None:
    """Write `report.html` into the folder of a run; cells that have not ended are shown as such.

    Args:
        run: the folder.
        rows: its rows, one a cell.
    """
    environment = Environment(
        loader=PackageLoader("benchmark.report"), autoescape=True, undefined=StrictUndefined
    )
    page = environment.get_template("report.html").render(
        name=run.load_matrix().name,
        counts={s: sum(row.status == s for row in rows) for s in ("done", "failed", "skipped", "pending")},
        headings=MEAN_HEADINGS,
        means=mean_texts(rows),
        sections=_sections(run, rows),
        failures=[row for row in rows if row.status in ("failed", "skipped")],
        notes=sorted({row.reason for row in rows if row.status == "done" and row.reason}),
    )
    write_text(run.report, page)


def _sections(run: RunFolder, rows: list[Row]) -> list[Section]:
    row_by_id = {row.id: row for row in rows}
    groups: dict[tuple[str, str], dict[str, list[Cell]]] = {}
    for cell, _ in run.cells():
        group = groups.setdefault((cell.task.label, cell.defense.label), {})
        group.setdefault(cell.observation_id, []).append(cell)
    sections = []
    for (task, defense), observations in groups.items():
        columns = tuple(_column(cell) for cell in next(iter(observations.values())))
        lines = [line for cells in observations.values() for line in _lines(run, cells, row_by_id)]
        sections.append(Section(f"{task}, defense: {defense}", columns, tuple(lines)))
    return sections


def _lines(run: RunFolder, cells: list[Cell], rows: dict[str, Row]) -> list[Line]:
    """A line for every private image of one observation."""
    if not run.observation(cells[0]).is_file():
        return []
    truth = run.truth(cells[0])
    answers = [_answers(run, cell, rows[cell.id], len(truth.labels)) for cell in cells]
    names = cells[0].task.build().dataset.class_names
    heading = f"target {cells[0].target}, seed {cells[0].seed}"
    return [
        Line(
            heading if len(truth.labels) == 1 else f"{heading}, image {k}",
            (Picture(_data_url(image), names[int(label)]), *(column[k] for column in answers)),
        )
        for k, (image, label) in enumerate(zip(truth.images, truth.labels, strict=True))
    ]


def _answers(run: RunFolder, cell: Cell, row: Row, count: int) -> list[Picture]:
    """What one attack found, in the truth's order."""
    if row.status != "done":
        return [Picture(None, row.status, row.reason or "")] * count
    folder = run.cell(cell)
    result, images = folder.read(), folder.images()
    scores = result["per_image"]
    return [
        Picture(_data_url(images[answer]), f"{scores['psnr'][k]:.2f} dB, SSIM {scores['ssim'][k]:.3f}")
        for k, answer in enumerate(result["assignment"])
    ]


def _column(cell: Cell) -> str:
    return cell.attack.label if cell.prior is None else f"{cell.attack.label} ({cell.prior.label})"


def _data_url(image: Tensor) -> str:
    pixels = (image * 255).round().byte().permute(1, 2, 0).numpy()
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG")
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
