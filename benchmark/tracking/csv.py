"""Tracking to CSV files."""

from __future__ import annotations

from pytorch_lightning.loggers import CSVLogger

from gifd_bench.benchmark.matrix.cell import Cell
from gifd_bench.benchmark.results.cell_folder import CellFolder
from gifd_bench.benchmark.tracking.loggers import LoggerTracker


class CsvTracker(LoggerTracker[CSVLogger]):
    """Writes `metrics.csv` in every cell's folder."""

    def start(self, cell: Cell, folder: CellFolder) -> CSVLogger:
        logger = CSVLogger(folder.tracking, name="", version="")
        _ = logger.experiment  # Makes the files now, while warnings of it are caught.
        return logger
