"""Tracking through one Lightning logger for each cell."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Generic, TypeVar

from pytorch_lightning.loggers import Logger

from gifd_bench.benchmark.inversion.reconstruction import Reconstruction
from gifd_bench.benchmark.matrix.cell import Cell
from gifd_bench.benchmark.results.cell_folder import CellFolder
from gifd_bench.benchmark.scoring.scorer import Scores
from gifd_bench.benchmark.tracking.base import Tracker, final_numbers
from gifd_bench.tasks.truth import Truth

AnyLogger = TypeVar("AnyLogger", bound=Logger)


class LoggerTracker(Tracker, Generic[AnyLogger]):
    """Tracks through one Lightning logger for each cell: the curves, then the scores."""

    wants_curves: ClassVar[bool] = True

    def __init__(self) -> None:
        self._logger: AnyLogger | None = None

    @abstractmethod
    def start(self, cell: Cell, folder: CellFolder) -> AnyLogger:
        """A new logger for a cell."""

    @property
    def logger(self) -> AnyLogger:
        """The logger of the cell that has begun."""
        assert self._logger is not None
        return self._logger

    def begin(self, matrix: str, cell: Cell, folder: CellFolder) -> None:
        with warnings.catch_warnings():
            # Lightning says that files of an interrupted run are replaced: they are meant to be.
            warnings.filterwarnings("ignore", module="pytorch_lightning")
            warnings.filterwarnings("ignore", module="lightning_fabric")
            self._logger = self.start(cell, folder)

    def log(self, numbers: Mapping[str, float], iteration: int) -> None:
        self.logger.log_metrics(dict(numbers), step=iteration)

    def finish(self, reconstruction: Reconstruction, scores: Scores, truth: Truth) -> None:
        self.logger.log_metrics(final_numbers(reconstruction, scores), step=len(reconstruction.curve))

    def close(self) -> None:
        logger, self._logger = self._logger, None
        if logger is not None:
            logger.finalize("success")
