"""One row for each cell, from which tables, exports and reports are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from gifd_bench.benchmark.matrix.cell import Cell
from gifd_bench.benchmark.results.cell_folder import CellFolder
from gifd_bench.benchmark.results.record import DAMAGED, CellRecord, StageRecord
from gifd_bench.benchmark.results.run_folder import RunFolder
from gifd_bench.benchmark.scoring.registry import COLUMNS as SCORES
from gifd_bench.benchmark.scoring.registry import IDENTIFICATION

PENDING = "pending"
STATUSES = ("done", "failed", "skipped", DAMAGED, PENDING)


@dataclass(frozen=True)
class Row:
    """A cell in numbers; metrics are means over its images, and `None` if there are none.

    Attributes:
        status: `done`, `failed`, `skipped`, `damaged` if a file has changed, or `pending` while the cell
            has not ended.
        images: the number of images that the metrics cover.
        identified, identified_top5: shares of the images to which their reconstruction is nearest, or among
            the nearest five, among this many `distractors`.
        path: how updates were compared: `factored`, `general` or `mixed`; `None` if it is not known.
        reason: why the cell failed or was skipped, what is damaged, or why a metric is missing.
        extra: means of the further metrics that the matrix names, by name; each is a column.
        cell: the cell; not a column.
        record: how it ended; `None` while it has not, or if that is damaged; not a column.
    """

    id: str
    task: str
    attack: str
    prior: str | None
    dataset: str
    model: str
    defense: str
    batch_size: int
    seed: int
    target: int
    status: str
    images: int
    psnr: float | None
    ssim: float | None
    lpips_alex: float | None
    lpips_vgg: float | None
    mse: float | None
    feature_mse: float | None
    label_accuracy: float | None
    identified: float | None
    identified_top5: float | None
    distractors: int | None
    matching_loss: float | None
    gradient_evaluations: int | None
    seconds: float | None
    path: str | None
    reason: str | None
    extra: Mapping[str, float | None] = field(default_factory=dict)
    cell: Cell = field(kw_only=True, repr=False)
    record: CellRecord | None = field(kw_only=True, repr=False)

    @property
    def attack_name(self) -> str:
        """The attack, with its prior if it has one."""
        return self.attack if self.prior is None else f"{self.attack} ({self.prior})"

    @property
    def per_image(self) -> Mapping[str, Sequence[float] | None]:
        """One value for each private image by the name of the metric, or `None`; empty without numbers."""
        return self.record.per_image if self.record else {}

    @property
    def assignment(self) -> Sequence[int]:
        """The index of the reconstruction that belongs to each private image."""
        return self.record.assignment if self.record else ()

    @property
    def stages(self) -> Sequence[StageRecord]:
        """The stages of the restart that was returned, in their order."""
        return self.record.stages if self.record else ()

    @property
    def circumstances(self) -> dict[str, str | int]:
        """Versions, commit and machine of the result, as far as they are known."""
        if self.record is None:
            return {}
        made = self.record.circumstances
        found: dict[str, str | int] = dict(made.versions)
        if made.commit is not None:
            found["commit"] = made.commit
        if made.machine is not None:
            found |= vars(made.machine)
        return found

    def as_dict(self) -> dict[str, Any]:
        """The values by column name."""
        return {name: getattr(self, name) for name in COLUMNS} | dict(self.extra)


COLUMNS = tuple(f.name for f in fields(Row) if f.name not in ("extra", "cell", "record"))


def columns_of(rows: Sequence[Row]) -> tuple[str, ...]:
    """All columns of some rows: the columns of every row, then those of further metrics."""
    return (*COLUMNS, *dict.fromkeys(name for row in rows for name in row.extra))


def rows_of(run: RunFolder) -> list[Row]:
    """A row for every cell of the matrix, in the matrix's order; each result is read once.

    Raises:
        AccessError: this user may not read a result.
    """
    matrix = run.load_matrix()
    extra = [metric.label for metric in matrix.metrics]
    return [row_of(cell, run.cell(cell), extra) for cell in matrix.cells()]


def row_of(cell: Cell, folder: CellFolder, extra: Sequence[str] = ()) -> Row:
    """The row of one cell.

    Args:
        cell: a cell of the matrix.
        folder: the folder of that cell.
        extra: names of the matrix's further metrics.

    Raises:
        AccessError: this user may not read its result.
    """
    found = folder.outcome()
    damage, record = (found, None) if isinstance(found, str) else (None, found)
    mean = record.mean if record else lambda _: None
    return Row(
        id=cell.id,
        task=cell.task.label,
        attack=cell.attack.label,
        prior=cell.prior.label if cell.prior else None,
        dataset=cell.task.dataset.label,
        model=cell.task.model.label,
        defense=cell.defense.label,
        batch_size=cell.task.settings.batch_size,
        seed=cell.seed,
        target=cell.target,
        status=DAMAGED if damage else record.status if record else PENDING,
        images=record.images if record else 0,
        **{metric: mean(metric) for metric in (*SCORES, *IDENTIFICATION)},
        distractors=record.distractors.count if record and record.distractors else None,
        matching_loss=record.matching_loss if record else None,
        gradient_evaluations=record.gradient_evaluations if record else None,
        seconds=record.seconds if record else None,
        path=record.path if record else None,
        reason=record.reason if record else damage,
        extra={metric: mean(metric) for metric in extra},
        cell=cell,
        record=record,
    )
