"""The output folder of a matrix."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.matrix.cell import Cell
from gifd_bench.benchmark.matrix.config import Matrix
from gifd_bench.benchmark.matrix.round import Round
from gifd_bench.benchmark.results.cell_folder import CellFolder
from gifd_bench.benchmark.results.checksums import SEAL, read_sealed, write_sealed
from gifd_bench.benchmark.results.output_folder import first_difference, has_record, without_code
from gifd_bench.benchmark.results.round_files import RoundFiles
from gifd_bench.common.errors import one_line
from gifd_bench.common.files import make_folder, read_json, write_json

# Commands that only read results start at once: torch is imported by what needs it.
if TYPE_CHECKING:
    from gifd_bench.tasks.observation import Observation
    from gifd_bench.tasks.truth import Truth

FORMAT = "gifd-bench/run/2"


@dataclass(frozen=True)
class RunFolder:
    """The cells of a matrix, the observations that they attack, and the truth with which they are scored.

    Cells that attack the same update share its observation.
    """

    path: Path

    @property
    def matrix(self) -> Path:
        """The file of the resolved matrix."""
        return self.path / "matrix.json"

    @property
    def report(self) -> Path:
        """The HTML page."""
        return self.path / "report.html"

    @property
    def packs(self) -> Path:
        """The folder of inversions of several cells at once that have begun."""
        return self.path / "packs"

    def cell(self, cell: Cell) -> CellFolder:
        """The folder of a cell."""
        return CellFolder(self.path / "cells" / cell.id, self.round(cell), self.sealed)

    def round(self, attacked: Round) -> RoundFiles:
        """The files of what a cell attacks."""
        return RoundFiles(self.path, attacked)

    @cached_property
    def sealed(self) -> bool:
        """Whether everything in it has a checksum; folders of older versions have none.

        Raises:
            FileError: the record of the matrix is damaged.
        """
        return not self.matrix.exists() or SEAL in self._content()

    def open_for(self, matrix: Matrix, threads: int | None = None) -> int:
        """Make the folder, or check that it holds a run of these very cells.

        Labels may differ from those with which the run was begun: they are only for display, and become the
        new ones. The code of components from outside may also have changed: cells with the new code are
        other cells, which have not run yet.

        Args:
            matrix: the matrix to run.
            threads: threads of one operation on the CPU, on which the last bits of every result depend;
                `None` for those with which the folder was begun, or else one.

        Returns:
            The threads of the folder.

        Raises:
            UserError: it holds something else, or was begun with other threads; nothing is written.
        """
        if not has_record(self.path, self.matrix, "a run"):
            for name in ("cells", "observations", "truths", "rounds"):
                make_folder(self.path / name)
            self._write_matrix(matrix, threads or 1)
            return threads or 1
        held, begun_with = self._read()
        if threads not in (None, begun_with):
            raise BenchmarkError(
                f"{self.path}: was begun with --threads {begun_with}, on which its results depend; go on "
                "without --threads, or choose another --output"
            )
        if held.config() != matrix.config():
            difference = first_difference(without_code(held.config()), without_code(matrix.config()))
            if difference and [cell.id for cell in held.cells()] != [cell.id for cell in matrix.cells()]:
                raise BenchmarkError(
                    f"{self.path}: holds a run of another matrix ({difference}); choose another --output"
                )
            self._write_matrix(matrix, begun_with)
        return begun_with

    def load_matrix(self) -> Matrix:
        """The matrix whose run this folder holds.

        Raises:
            UserError: it holds none.
        """
        return self._read()[0]

    @property
    def threads(self) -> int:
        """The threads of one operation on the CPU, in every process that runs cells of this folder."""
        return self._read()[1]

    def cells(self) -> Iterator[tuple[Cell, CellFolder]]:
        """Every cell of the matrix, ended or not."""
        for cell in self.load_matrix().cells():
            yield cell, self.cell(cell)

    def begun(self) -> frozenset[str]:
        """The ids of the cells that have a folder, all read at once, which is faster."""
        try:
            return frozenset(os.listdir(self.path / "cells"))  # noqa: PTH208, names are what is wanted
        except FileNotFoundError:
            return frozenset()

    def not_ended(self, cells: Iterable[Cell]) -> list[Cell]:
        """Those of the matrix's cells that have no result yet, in their order."""
        begun = self.begun()
        return [cell for cell in cells if cell.id not in begun or not self.cell(cell).ended()]

    def retire_failed(self) -> None:
        """Put the results of failed cells aside, so that they run again."""
        for _, folder in self.cells():
            if folder.status() == "failed":
                folder.retire()

    def observation(self, cell: Round) -> Path:
        """The file of the observation that a cell attacks."""
        return self.round(cell).observation

    def write_round(self, cell: Round, observation: Observation, truth: Truth) -> None:
        """Store a round of the clients.

        Raises:
            StorageError: it cannot be written.
        """
        self.round(cell).write(observation, truth)

    def truth(self, cell: Round) -> Truth:
        """The private batch of a cell.

        Raises:
            FileError: its file is missing or damaged.
        """
        return self.round(cell).read_truth()

    def _write_matrix(self, matrix: Matrix, threads: int) -> None:
        content = {"format": FORMAT, "threads": threads, "matrix": matrix.config()}
        # What an older version began has no checksums, and a seal here would say that it has.
        write = write_sealed if self.sealed else write_json
        write(self.matrix, content)

    def _content(self) -> dict[str, Any]:
        content = read_json(self.matrix)
        return content if isinstance(content, dict) else {}

    def _read(self) -> tuple[Matrix, int]:
        if not self.matrix.is_file():
            raise BenchmarkError(f"{self.path}: holds no run (there is no {self.matrix.name} in it)")
        content = self._content()
        found = content.get("format")
        if found != FORMAT:
            raise BenchmarkError(
                f"{self.matrix}: of format '{found}', not '{FORMAT}', which this version reads; "
                "choose another --output"
            )
        content = read_sealed(self.matrix, required=False)
        if odd := content.keys() - {"format", "threads", "matrix"}:
            raise BenchmarkError(f"{self.matrix}: damaged (it holds '{min(odd)}')")
        try:
            return Matrix.from_config(content["matrix"]), int(content["threads"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BenchmarkError(f"{self.matrix}: damaged ({one_line(error) or error!r})") from error
