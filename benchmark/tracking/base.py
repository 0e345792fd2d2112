"""What a tracker is to a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from gifd_bench.benchmark.inversion.reconstruction import Reconstruction
from gifd_bench.benchmark.matrix.cell import Cell
from gifd_bench.benchmark.results.cell_folder import CellFolder
from gifd_bench.benchmark.results.run_folder import RunFolder
from gifd_bench.benchmark.scoring.scorer import Scores
from gifd_bench.tasks.truth import Truth


class Tracker:
    """Tracks nothing. Others are told of one cell after the other, and of the whole run when it ends.

    A tracker need not catch its own errors: `Guarded` does, and the cell goes on.

    Attributes:
        wants_curves: whether `log` is to be called; reading a loss waits for the device.
    """

    wants_curves: ClassVar[bool] = False

    def begin(self, matrix: str, cell: Cell, folder: CellFolder) -> None:
        """A cell begins, or goes on after an interruption.

        Args:
            matrix: name of the matrix.
            cell: what is run.
            folder: its folder, which exists.
        """

    def log(self, numbers: Mapping[str, float], iteration: int) -> None:
        """What the attack has seen by an iteration. After an interruption it is told all from the start
        again: what was logged of a process that was killed may be incomplete."""

    def finish(self, reconstruction: Reconstruction, scores: Scores, truth: Truth) -> None:
        """The cell is done: the first time that a tracker learns anything of the truth."""

    def close(self) -> None:
        """Nothing more comes of this cell, whatever became of it. It may not have begun."""

    def summarize(self, run: RunFolder) -> None:
        """A process that ran cells ends; others may still run some."""


def axes_of(cell: Cell) -> dict[str, Any]:
    """Where a cell is in the matrix, one flat key an axis, as trackers group by."""
    return {
        "task": cell.task.label,
        "defense": cell.defense.label,
        "prior": cell.prior.label if cell.prior else "none",
        "attack": cell.attack.label,
        "target": cell.target,
        "seed": cell.seed,
        "batch_size": cell.task.settings.batch_size,
    }


def run_name(cell: Cell) -> str:
    """What a cell's run is called: its axes."""
    labels = [cell.task.label, cell.defense.label, *([cell.prior.label] if cell.prior else [])]
    return "-".join([*labels, cell.attack.label, f"target{cell.target}", f"seed{cell.seed}"])


def final_numbers(reconstruction: Reconstruction, scores: Scores) -> dict[str, float]:
    """The scores, means over the images (those that could not be had are left out), and what was spent."""
    means = {metric: scores.mean(metric) for metric in scores.per_image}
    numbers = {name: value for name, value in means.items() if value is not None}
    numbers["final_matching_loss"] = reconstruction.matching_loss
    numbers["total_gradient_evaluations"] = float(reconstruction.gradient_evaluations)
    return numbers
