"""Tracking to TensorBoard."""

from __future__ import annotations

import json

from pytorch_lightning.loggers import TensorBoardLogger

from gifd_bench.benchmark.inversion.reconstruction import Reconstruction
from gifd_bench.benchmark.matrix.cell import Cell
from gifd_bench.benchmark.results.cell_folder import CellFolder
from gifd_bench.benchmark.scoring.scorer import Scores
from gifd_bench.benchmark.tracking.base import axes_of, final_numbers
from gifd_bench.benchmark.tracking.loggers import LoggerTracker
from gifd_bench.benchmark.tracking.pictures import pairs, strips
from gifd_bench.common.extras import TENSORBOARD
from gifd_bench.tasks.truth import Truth


class TensorBoardTracker(LoggerTracker[TensorBoardLogger]):
    """Writes an events file in every cell's folder; `tensorboard --logdir FOLDER/cells` shows all of them.

    Raises:
        UserError: TensorBoard is not installed.
    """

    def __init__(self) -> None:
        super().__init__()
        TENSORBOARD.require("--tracker tensorboard")

    def start(self, cell: Cell, folder: CellFolder) -> TensorBoardLogger:
        # All that was logged before an interruption is logged again: what is there already is purged.
        logger = TensorBoardLogger(
            folder.tracking, name="", version="", default_hp_metric=False, purge_step=0
        )
        text = json.dumps(cell.config(), indent=1)
        logger.experiment.add_text("config", f"```json\n{text}\n```")
        self._axes = axes_of(cell)
        return logger

    def finish(self, reconstruction: Reconstruction, scores: Scores, truth: Truth) -> None:
        step = len(reconstruction.curve)
        self.logger.log_hyperparams(self._axes, final_numbers(reconstruction, scores), step=step)
        for key, pictures in (
            ("truth and reconstruction", pairs(reconstruction, scores, truth)),
            ("stages", strips(reconstruction, scores, truth)),
        ):
            for number, picture in enumerate(pictures):
                self.logger.experiment.add_image(f"{key}/{number}", picture.image, step, dataformats="HWC")
