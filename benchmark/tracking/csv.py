"""Tracking to CSV files."""

from __future__ import annotations

from pytorch_lightning.loggers import CSVLogger, Logger

from benchmark.matrix.cell import Cell
from benchmark.results.cell_folder import CellFolder
from benchmark.tracking.base import LoggerTracker


class CsvTracker(LoggerTracker):
    """A `metrics.csv` in every cell's folder."""

    def logger(self, matrix: str, cell: Cell, folder: CellFolder) -> Logger:
        return CSVLogger(folder.tracking, name="", version="")
