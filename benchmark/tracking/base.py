"""What a tracker is to a run."""

from __future__ import annotations

from collections.abc import Sequence

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import Logger

from benchmark.attacks.base import Attack
from benchmark.inversion.reconstruction import Reconstruction
from benchmark.matrix.cell import Cell
from benchmark.results.cell_folder import CellFolder
from benchmark.scoring.scorer import METRICS, Scores
from tasks.truth import Truth

POINTS = 200


class Tracker:
    """Tracks nothing. Others give a Lightning logger a cell."""

    def logger(self, matrix: str, cell: Cell, folder: CellFolder) -> Logger | None:
        """The logger of a cell's run."""
        return None

    def callbacks(self) -> Sequence[Callback]:
        """What the Trainer calls while an attack runs. It sees no truth."""
        return ()

    def finish(
        self, logger: Logger | None, reconstruction: Reconstruction, scores: Scores, truth: Truth
    ) -> None:
        """The cell is done: log its scores."""


class LoggerTracker(Tracker):
    """Tracks through any Lightning logger: the thinned loss curve, then the scores."""

    def callbacks(self) -> Sequence[Callback]:
        return (LossCurve(),)

    def finish(
        self, logger: Logger | None, reconstruction: Reconstruction, scores: Scores, truth: Truth
    ) -> None:
        assert logger is not None
        means = {metric: scores.mean(metric) for metric in METRICS}
        numbers = {name: value for name, value in means.items() if value is not None}
        numbers["final_matching_loss"] = reconstruction.matching_loss
        numbers["gradient_evaluations"] = float(reconstruction.gradient_evaluations)
        logger.log_metrics(numbers, step=len(reconstruction.curve))
        logger.finalize("success")


class LossCurve(Callback):
    """Logs the matching loss of about `POINTS` iterations: each reading waits for the device."""

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: object) -> None:
        assert isinstance(pl_module, Attack)
        assert trainer.logger is not None
        done = pl_module.progress.iteration
        if (done - 1) % max(1, pl_module.iterations // POINTS) == 0:
            loss = float(pl_module.curve[done - 1])
            trainer.logger.log_metrics({"matching_loss": loss}, step=done - 1)
