"""One row a cell: what tables, exports and reports are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.matrix.cell import Cell
from gifd_bench.benchmark.results.cell_folder import CellFolder
from gifd_bench.benchmark.results.run_folder import RunFolder
from gifd_bench.benchmark.scoring.scorer import METRICS

PENDING = "pending"
STATUSES = ("done", "failed", "skipped", PENDING)


@dataclass(frozen=True)
class StageScore:
    """What the answer was worth at the end of a stage.

    Attributes:
        gradient_evaluations: spent by then.
        psnr: in dB, mean over the images.
    """

    name: str
    gradient_evaluations: int
    psnr: float


@dataclass(frozen=True)
class Detail:
    """What a result says beyond a number a column; empty where the cell has none.

    Attributes:
        per_image: metric name to one value a private image, or null.
        assignment: index of the reconstruction that answers each private image.
        stages: in their order.
        circumstances: versions, commit and machine that it was made with.
    """

    per_image: Mapping[str, Sequence[float] | None]
    assignment: Sequence[int]
    stages: Sequence[StageScore]
    circumstances: Mapping[str, Any]


@dataclass(frozen=True)
class Row:
    """A cell in numbers; metrics are means over its images, null where there are none.

    Attributes:
        status: `done`, `failed`, `skipped`, or `pending` while the cell has not ended.
        images: how many images the metrics are over.
        reason: why the cell failed or was skipped, or why a metric is null.
        cell, detail: for reports; no columns.
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
    cell: Cell = field(repr=False)
    detail: Detail = field(repr=False)

    @property
    def attack_name(self) -> str:
        """The attack, with its prior where it has one."""
        return self.attack if self.prior is None else f"{self.attack} ({self.prior})"

    def as_dict(self) -> dict[str, Any]:
        """Column name to value."""
        return {name: getattr(self, name) for name in COLUMNS}


COLUMNS = tuple(f.name for f in fields(Row) if f.name not in ("cell", "detail"))


def rows_of(run: RunFolder) -> list[Row]:
    """A row for every cell of the matrix, in the matrix's order; each result is read once.

    Raises:
        BenchmarkError: a result is damaged.
    """
    return [row_of(cell, folder) for cell, folder in run.cells()]


def row_of(cell: Cell, folder: CellFolder) -> Row:
    """The row of one cell.

    Raises:
        BenchmarkError: its result is damaged.
    """
    result: dict[str, Any] = folder.read() if folder.result.is_file() else {"status": PENDING}
    try:
        return _row(cell, result)
    except (KeyError, TypeError, AttributeError) as error:
        raise BenchmarkError(f"{folder.result}: damaged, or of another version ({error!r})") from error


def _row(cell: Cell, result: Mapping[str, Any]) -> Row:
    per_image: dict[str, list[float] | None] = result.get("per_image", {})

    def mean(metric: str) -> float | None:
        values = per_image.get(metric)
        return sum(values) / len(values) if values else None

    stages = [
        StageScore(stage["name"], stage["gradient_evaluations"], stage["psnr"])
        for stage in result.get("stages", [])
    ]
    circumstances = {
        **result.get("versions", {}),
        "commit": result.get("commit"),
        **result.get("machine", {}),
    }
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
        cell=cell,
        detail=Detail(per_image, result.get("assignment", []), stages, circumstances),
    )
