"""One row a cell: what tables, exports and reports are made of."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from benchmark.matrix.cell import Cell
from benchmark.results.cell_folder import CellFolder
from benchmark.results.run_folder import RunFolder
from benchmark.scoring.scorer import METRICS

PENDING = "pending"


@dataclass(frozen=True)
class Row:
    """A cell in numbers; metrics are means over its images, null where there are none.

    Attributes:
        status: `done`, `failed`, `skipped`, or `pending` while the cell has not ended.
        images: how many images the metrics are over.
        reason: why the cell failed or was skipped, or why a metric is null.
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
    matching_loss: float | None
    gradient_evaluations: int | None
    seconds: float | None
    reason: str | None

    def as_dict(self) -> dict[str, Any]:
        """Column name to value."""
        return asdict(self)


def rows_of(run: RunFolder) -> list[Row]:
    """A row for every cell of the matrix, in the matrix's order."""
    return [row_of(cell, folder) for cell, folder in run.cells()]


def row_of(cell: Cell, folder: CellFolder) -> Row:
    """The row of one cell."""
    result: dict[str, Any] = folder.read() if folder.result.is_file() else {"status": PENDING}
    per_image: dict[str, list[float] | None] = result.get("per_image", {})

    def mean(metric: str) -> float | None:
        values = per_image.get(metric)
        return sum(values) / len(values) if values else None

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
        status=result["status"],
        images=len(per_image.get("mse") or []),
        **{metric: mean(metric) for metric in METRICS},
        matching_loss=result.get("matching_loss"),
        gradient_evaluations=result.get("gradient_evaluations"),
        seconds=result.get("seconds"),
        reason=result.get("reason"),
    )
