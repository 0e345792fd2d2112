"""The interface of trackers."""

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
    """A tracker that records nothing. Others record one cell after another, and the whole run when it ends.

    A tracker need not catch its own errors: `Guarded` does, and the cell continues.

    Attributes:
        wants_curves: whether `log` is called; reading a loss waits for the device.
    """

    wants_curves: ClassVar[bool] = False

    def begin(self, matrix: str, cell: Cell, folder: CellFolder) -> None:
        """Begin a cell, or continue it after an interruption.

        Args:
            matrix: the name of the matrix.
            cell: the cell that runs.
            folder: its folder, which exists.
        """

    def log(self, numbers: Mapping[str, float], iteration: int) -> None:
        """Record what the attack has seen at an iteration.

        After an interruption, everything is logged again from the start, because what a killed process
        logged may be incomplete.
        """

    def finish(self, reconstruction: Reconstruction, scores: Scores, truth: Truth) -> None:
        """Record the result of the cell; only now does a tracker learn anything about the truth."""

    def close(self) -> None:
        """End the recording of this cell, however the cell ended. It may not have begun."""

    def summarize(self, run: RunFolder) -> None:
        """Record that a process that ran cells ends; others may still run some."""


def axes_of(cell: Cell) -> dict[str, Any]:
    """Where a cell is in the matrix, with one flat key for each axis, by which trackers group."""
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
    """The name of a cell's run: its axes."""
    labels = [cell.task.label, cell.defense.label, *([cell.prior.label] if cell.prior else [])]
    return "-".join([*labels, cell.attack.label, f"target{cell.target}", f"seed{cell.seed}"])


def final_numbers(reconstruction: Reconstruction, scores: Scores) -> dict[str, float]:
    """The scores, as means over the images, and what was spent.

    Metrics that are not available are left out.
    """
    means = {metric: scores.mean(metric) for metric in scores.per_image}
    numbers = {name: value for name, value in means.items() if value is not None}
    numbers["final_matching_loss"] = reconstruction.matching_loss
    numbers["total_gradient_evaluations"] = float(reconstruction.gradient_evaluations)
    return numbers
