"""The output folder of a matrix."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.matrix.cell import Cell
from gifd_bench.benchmark.matrix.config import Matrix
from gifd_bench.benchmark.matrix.round import Round
from gifd_bench.benchmark.results.cell_folder import CellFolder
from gifd_bench.benchmark.results.output_folder import is_new
from gifd_bench.common.files import (
    make_folder,
    read_json,
    read_tensors,
    write_json,
    write_tensors,
)
from gifd_bench.tasks.observation import Observation
from gifd_bench.tasks.observation_file import save_observation
from gifd_bench.tasks.truth import Truth

FORMAT = "gifd-bench/run/1"


@dataclass(frozen=True)
class RunFolder:
    """Cells of one matrix, the observations that they attack, and the truth that they are scored by.

    Cells that attack the same update share its observation. Truths are kept apart from observations:
    an attack that runs elsewhere needs the one and must not be given the other.
    """

    path: Path

    @property
    def matrix(self) -> Path:
        """The resolved matrix."""
        return self.path / "matrix.json"

    @property
    def report(self) -> Path:
        """The HTML page."""
        return self.path / "report.html"

    def cell(self, cell: Cell) -> CellFolder:
        """The folder of a cell."""
        return CellFolder(self.path / "cells" / cell.id)

    def open_for(self, matrix: Matrix) -> None:
        """Make the folder, or make sure that it holds a run of this very matrix.

        Raises:
            BenchmarkError: it holds something else; nothing is written.
        """
        wanted = matrix.config()
        if not is_new(
            self.path, self.matrix, self._read_matrix, wanted, "a run", "a run of another matrix"
        ):
            return
        for name in ("cells", "observations", "truths"):
            make_folder(self.path / name)
        write_json(self.matrix, {"format": FORMAT, "matrix": wanted})

    def load_matrix(self) -> Matrix:
        """The matrix that this folder holds a run of.

        Raises:
            BenchmarkError: it holds none.
        """
        if not self.matrix.is_file():
            raise BenchmarkError(f"{self.path}: holds no run (there is no {self.matrix.name} in it)")
        try:
            return Matrix.from_config(self._read_matrix())
        except (KeyError, TypeError) as error:
            raise BenchmarkError(f"{self.matrix}: damaged ({error!r})") from error

    def cells(self) -> Iterator[tuple[Cell, CellFolder]]:
        """Every cell of the matrix, ended or not."""
        for cell in self.load_matrix().cells():
            yield cell, self.cell(cell)

    def retire_failed(self) -> None:
        """Put the results of failed cells aside, so that they run again."""
        for _, folder in self.cells():
            if folder.status() == "failed":
                folder.retire()

    def observation(self, cell: Round) -> Path:
        """The file of the observation that a cell attacks."""
        return self.path / "observations" / f"{cell.observation_id}.safetensors"

    def write_round(self, cell: Round, observation: Observation, truth: Truth) -> None:
        """Keep a round of the client: the truth first, so that no observation lacks one.

        Raises:
            StorageError: it cannot be written.
        """
        write_tensors(self._truth(cell), {"images": truth.images, "labels": truth.labels})
        save_observation(observation, self.observation(cell))

    def truth(self, cell: Round) -> Truth:
        """The private batch of a cell."""
        tensors = read_tensors(self._truth(cell))
        return Truth(tensors["images"], tensors["labels"])

    def _truth(self, cell: Round) -> Path:
        return self.path / "truths" / f"{cell.observation_id}.safetensors"

    def _read_matrix(self) -> dict[str, Any]:
        content = read_json(self.matrix)
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise BenchmarkError(f"{self.matrix}: not a matrix of format '{FORMAT}'")
        matrix: dict[str, Any] = content["matrix"]
        return matrix
